"""Several runs side by side as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tui.content.ink import Ink
from tui.content.rows import Cell, Column, Row
from tui.readers.comparison import ResultRow, SettingRow
from tui.readers.completions import SORTED_BY, Completions, Likeliness
from tui.readers.ranked_beside import RankedBeside, RankedRuns

_MISSING = Cell("–", "dim")
_NARROWEST, _WIDEST = 10, 24
"""Cells of a run's figures."""


def settings_table(
    names: Sequence[str], rows: Sequence[SettingRow]
) -> tuple[list[Column], list[Row]]:
    """A setting a row, a run a column."""
    columns = [Column("setting", 30), *(Column(name) for name in names)]
    cells = ([Cell(row.name, "dim"), *(Cell(value) for value in row.values)] for row in rows)
    return columns, [Row(tuple(one), row) for one, row in zip(cells, rows, strict=True)]


def results_table(
    names: Sequence[str], rows: Sequence[ResultRow]
) -> tuple[list[Column], list[Row]]:
    """A result a row, a run a column; beside two runs the change from the first to the second."""
    told = (figure.told for row in rows for figure in row.figures if figure)
    cells = min(_WIDEST, max(_NARROWEST, 1 + max(map(len, told), default=0)))
    columns = [Column("result"), *(Column(name, cells, right=True) for name in names)]
    columns += [Column("change", 8, right=True)] * (len(names) == 2)
    return columns, [Row(tuple(_result(row)), row, row.part) for row in rows]


def _result(row: ResultRow) -> Iterator[Cell]:
    yield Cell(row.name)
    for figure in row.figures:
        yield Cell(figure.told, "plain", figure.value) if figure else _MISSING
    if len(row.figures) == 2:
        one, other = row.figures
        if one and other:
            yield Cell(other.change_from(one), "strong", other.value - one.value)
        else:
            yield _MISSING


def completions_table(names: Sequence[str], found: Completions) -> tuple[list[Column], list[Row]]:
    """A prompt a row, a run a column: what the data were sorted by (◆), the means, then the others,
    those that fell most first; the change is from the first run to the last."""
    columns = [Column("prompt"), *(Column(name, _NARROWEST, right=True) for name in names)]
    columns.append(Column("change", 8, right=True))
    means = [*found.sets, *filter(None, [found.of_others])]
    rows = [
        *(_completion(f"◆ {row.name}", row) for row in found.aims),
        *(_completion(_mean_of(row, found), row) for row in means),
        *(_completion(f"  {row.name}", row) for row in found.others),
    ]
    return columns, rows


def _mean_of(row: Likeliness, found: Completions) -> str:
    named = row.name if row.name == found.others_name else f"set {row.name}"
    return f"Σ {named}, mean of {row.prompts:,}"


def _completion(name: str, row: Likeliness) -> Row:
    told = (Cell(f"{value:.2f}", "plain", value) for value in row.ln_p)
    change = Cell(f"{row.change:+.2f}", "strong", row.change)
    return Row((Cell(name), *told, change), row)


def rankings_table(names: Sequence[str], found: RankedRuns) -> tuple[list[Column], list[Row]]:
    """A rank a row, a run a column: each example with how it stands to the first run."""
    columns = [Column("rank", 5, right=True), *(Column(name) for name in names)]
    rows = [
        Row((Cell(str(rank), "dim", rank), *map(_ranked, row, range(len(row)))), row)
        for rank, row in enumerate(found.ranks, 1)
    ]
    return columns, rows


def _ranked(example: RankedBeside | None, run: int) -> Cell:
    """`↑3 ★ Ras Drenol plays the oboe.`; `+` = not among the first ones of the first run, `·` = of
    the first run, not among the first ones of every other."""
    if example is None:
        return _MISSING
    mark, ink = _mark(example.moved, run)
    star = "★ " if example.relevant else "  "
    return Cell(f"{mark:<3} {star}{example.text}", ink)


def _mark(moved: int | None, run: int) -> tuple[str, Ink]:
    if moved is None:
        return ("·", "warn") if run == 0 else ("+", "warn")
    if moved == 0:
        return ("" if run == 0 else "="), "plain"
    return (f"↑{moved}", "good") if moved > 0 else (f"↓{-moved}", "con")


def in_full(names: Sequence[str], row: Row) -> Iterator[tuple[str, str]]:
    """What a row's columns have no room for: titles, and texts."""
    match row.item:
        case SettingRow(values=values):
            yield from zip(names, values, strict=True)
        case ResultRow(part=part):
            yield part, ""
        case Likeliness(prompt=prompt, completion=completion, of_set=of_set, sorted_by=aimed):
            if prompt:
                yield "prompt", f"{prompt} → {completion.strip()}"
            if of_set:
                yield "set", of_set
            if aimed:
                yield "◆", SORTED_BY
        case tuple() as examples:
            for name, example in zip(names, examples, strict=True):
                yield name, f"{example.example_id} · {example.text}" if example else "–"
