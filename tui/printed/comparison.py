"""Two runs side by side as text: settings that differ, losses, answers, benchmarks."""

from __future__ import annotations

from pipeline.contract.run.run_dir import RunDir
from tui.printed.tables import Row, plain
from tui.readers.clean import clean
from tui.readers.comparison import (
    ANSWERS,
    BENCHMARKS,
    EXPERIMENTS,
    PARTS,
    Figure,
    ResultRow,
    results,
    settings_that_differ,
)

_COUNTED = {EXPERIMENTS: "prompts", ANSWERS: "prompts", BENCHMARKS: "questions"}
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
            parts.append(f"{part}\n\n{plain(rows, right=(first.name, second.name, 'change'))}")
    if len(parts) == 1:
        return f"{parts[0]}\n\nNeither run has results that are up to date."
    return "\n\n".join([*parts, NO_TEST])


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
