"""Two runs side by side as text: settings that differ, losses, answers, completions, benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.contract.run.run_dir import RunDir
from tui.printed.tables import Row, plain
from tui.readers.clean import clean
from tui.readers.comparison import (
    ANSWERS,
    BENCHMARKS,
    EXPERIMENTS,
    LOSSES,
    PARTS,
    Figure,
    ResultRow,
    cautions,
    results,
    settings_that_differ,
)
from tui.readers.completions import (
    COMPLETIONS,
    SORTED_BY,
    Completions,
    Likeliness,
    completions,
)

_COUNTED = {EXPERIMENTS: "prompts", ANSWERS: "prompts", BENCHMARKS: "questions"}
_FELL_MOST = 5
"""Of the prompts that the data were not sorted by; all of them are in the JSON."""
NO_TEST = (
    "Changes between runs are not tested. One that lies within the intervals, or between answers\n"
    "to other prompts or questions, is no evidence."
)


def settings_rows(first: RunDir, second: RunDir) -> list[Row]:
    """Settings in which the runs differ."""
    return [
        {"setting": row.name, first.name: row.values[0], second.name: row.values[1]}
        for row in settings_that_differ((first, second))
    ]


def result_rows(first: RunDir, second: RunDir) -> list[Row]:
    """Results that either run has and that are up to date, as they were written: shares of 1,
    losses and ln p in nats; None where one lacks it."""
    return [_as_written(row, first, second) for row in results((first, second))]


def _as_written(row: ResultRow, first: RunDir, second: RunDir) -> Row:
    one, other = (figure.value if figure else None for figure in row.figures)
    change = other - one if one is not None and other is not None else None
    return {"result": row.name, first.name: one, second.name: other, "change": change}


def comparison_text(first: RunDir, second: RunDir) -> str:
    """Settings and results for reading, as the report writes its figures."""
    found = results((first, second))
    parts = [f"Settings that differ\n\n{plain(settings_rows(first, second))}"]
    for part in PARTS:
        rows = [_shown(row, first, second) for row in found if row.part == part]
        if rows:
            table = plain(rows, right=(first.name, second.name, "change"))
            told = cautions((first, second)) if part == LOSSES else []
            parts.append("\n".join([part, "", table, *told]))
    likely = completions((first, second))
    if len(parts) == 1 and not likely.rows:
        return f"{parts[0]}\n\nNeither run has results that are up to date."
    parts.extend(_completions_told(likely, first, second))
    return "\n\n".join([*parts, NO_TEST])


def completions_record(first: RunDir, second: RunDir) -> dict[str, Any]:
    """ln p of the completions that both runs have, in nats: prompt by prompt, and the means of each
    set and of the prompts that no data were sorted by. Or which run lacks them, and why."""
    found = completions((first, second))
    others = found.of_others
    return {
        "missing": dict(found.missing),
        "prompts": [
            {
                **_ln_p("prompt", row, first, second),
                "set": row.of_set or None,
                "data_sorted_by_it": row.sorted_by,
            }
            for row in found.rows
        ],
        "sets": [_ln_p("set", row, first, second) | {"prompts": row.prompts} for row in found.sets],
        "others": _ln_p("name", others, first, second)
        | {"prompts": others.prompts, "fell": sum(row.change < 0 for row in found.others)}
        if others
        else None,
    }


def _ln_p(key: str, row: Likeliness, first: RunDir, second: RunDir) -> dict[str, Any]:
    ln_p = dict(zip((first.name, second.name), row.ln_p, strict=True))
    return {key: row.name, "ln_p": ln_p, "change": row.change}


def _completions_told(found: Completions, first: RunDir, second: RunDir) -> Iterator[str]:
    """What the data were sorted by, the sets, and how the others fared."""
    if found.missing:
        lines = [f"run {name}: {why}" for name, why in found.missing]
        yield "\n".join([COMPLETIONS, "", *lines])
    others = found.others
    rows = [
        *((f"set {row.name}, mean of {row.prompts:,}", row) for row in found.sets),
        *((f"◆ {row.name}, {SORTED_BY}", row) for row in found.aims),
        *((f"{row.name}, mean of {row.prompts:,}", row) for row in [found.of_others] if row),
        *((f"fell: {row.name}", row) for row in others[:_FELL_MOST] if row.change < 0),
    ]
    if rows:
        table = plain(
            [_completion(clean(name), row, first, second) for name, row in rows],
            right=(first.name, second.name, "change"),
        )
        below = f"\n\nOf {found.others_name} {found.others_told()}." if others else ""
        yield f"{COMPLETIONS}\n\n{table}{below}"


def _completion(name: str, row: Likeliness, first: RunDir, second: RunDir) -> Row:
    one, other = row.ln_p
    return {
        "": name,
        first.name: f"{one:.2f}",
        second.name: f"{other:.2f}",
        "change": f"{row.change:+.2f}",
    }


def _shown(row: ResultRow, first: RunDir, second: RunDir) -> Row:
    one, other = row.figures
    told = {first.name: one.told if one else "–", second.name: other.told if other else "–"}
    change = other.change_from(one) if one and other else "–"
    shown = {"": clean(row.name), **told, "change": change}
    return shown | ({_COUNTED[row.part]: _counted(one, other)} if row.part in _COUNTED else {})


def _counted(one: Figure | None, other: Figure | None) -> str:
    """How many prompts or questions the figures are of, both where they differ."""
    counts = [str(figure.n) for figure in (one, other) if figure and figure.n is not None]
    return " / ".join(dict.fromkeys(counts))
