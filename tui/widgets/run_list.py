"""The runs: marks, name, state, stage, last loss, age, size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar
from zlib import crc32

from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from pipeline.contract.units import size
from tui.content.ink import SERIES, Part, fit
from tui.content.states import SYMBOLS
from tui.keys import bindings
from tui.readers.clean import clean
from tui.readers.format import age, aligned, number
from tui.readers.runs import COLUMNS, Column, RunRow
from tui.widgets.lines import Lines

_MARKS = "●■▲◆○□△◇"
_GUTTER = 4
_WIDTHS: dict[Column, int] = {"state": 12, "stage": 11, "loss": 10, "age": 13, "size": 10}
_DECIMALS = len(".0000")
_SHRINKING: tuple[Column, ...] = ("stage", "size", "age")
"""Columns that are left out, in this order, where a name would have no room."""
_NAME = 14


class RunList(Lines):
    """One line a run. The cursor stays on its run when others come and go."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("marks")

    rows: reactive[tuple[RunRow, ...]] = reactive((), repaint=False)
    marked: reactive[dict[Path, int]] = reactive(dict)
    """Marked runs, and the number of the ink and the mark that each keeps."""
    pinned: reactive[frozenset[str]] = reactive(frozenset())
    column: reactive[Column] = reactive("age")
    """Which column the rows are sorted by."""
    reverse: reactive[bool] = reactive(False)

    class Marked(Message):
        """Another run is marked, or one fewer."""

    class NoneChosen(Message):
        """Enter was pressed, and there is no run."""

    @property
    def selected(self) -> RunRow | None:
        """The run under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def watch_rows(self, old: tuple[RunRow, ...], new: tuple[RunRow, ...]) -> None:
        """The list has been read again."""
        held = old[self.cursor].run if self.cursor < len(old) else None
        self.count = len(new)
        runs = [row.run for row in new]
        if held in runs:
            self.cursor = runs.index(held)
        self.refresh_changed()

    def action_choose(self) -> None:
        """Chooses the run under the cursor, if there is one."""
        if self.count:
            super().action_choose()
        else:
            self.post_message(self.NoneChosen())

    def action_mark(self) -> None:
        """Marks the run under the cursor for the chart, or takes its mark away."""
        row = self.selected
        if row is None:
            return
        others = {root: look for root, look in self.marked.items() if root != row.run.root}
        if len(others) == len(self.marked):
            look = look_of(row.name, set(others.values()))
            if look is None:
                self.notify(f"a chart holds {len(SERIES)} runs at the most", markup=False)
                return
            others[row.run.root] = look
        self.marked = others
        self.post_message(self.Marked())
        self.cursor += 1

    def header(self, width: int) -> list[Part]:
        """Names of the columns, the sorted one with its direction."""
        columns = _columns(width)
        parts: list[Part] = [(" " * _GUTTER, "dim")]
        for column, cells in columns.items():
            arrow = ("▲" if self.reverse else "▼") if column == self.column else ""
            text = f"  {column}{arrow}" if column == "state" else column + arrow
            right = column in ("loss", "age", "size")
            parts.append((fit(text, cells, right=right), "strong" if arrow else "dim"))
        return parts

    def line(self, index: int, width: int) -> list[Part]:
        """`⚑ ● demo  ✓ done  report  0.412  3 min ago  91 MiB`."""
        row = self.rows[index]
        pin: Part = ("⚑ " if row.name in self.pinned else "  ", "warn")
        look = self.marked.get(row.run.root)
        mark: Part = ("  ", "plain") if look is None else (f"{_MARKS[look]} ", SERIES[look])
        return [pin, mark, *(_cell(row, column, n) for column, n in _columns(width).items())]


def look_of(name: str, taken: set[int]) -> int | None:
    """The number of a run's ink and mark: always the same for a name, unless that one is taken."""
    first = crc32(name.encode("utf-8", "replace"))
    looks = ((first + n) % len(SERIES) for n in range(len(SERIES)))
    return next((look for look in looks if look not in taken), None)


def mark_of(look: int) -> str:
    """The letter that stands for a run where colours do not tell."""
    return _MARKS[look]


def _columns(width: int) -> dict[Column, int]:
    """Cells of every column that there is room for."""
    shown = {column: _WIDTHS[column] for column in COLUMNS if column in _WIDTHS}
    for column in _SHRINKING:
        if width - _GUTTER - sum(shown.values()) < _NAME:
            del shown[column]
    order: tuple[Column, ...] = ("state", "stage", "loss", "age", "size")
    name = max(8, width - _GUTTER - sum(shown.values()))
    widths: dict[Column, int] = {"run": name}
    return widths | {column: shown[column] for column in order if column in shown}


def _cell(row: RunRow, column: Column, cells: int) -> Part:
    loss, stage = row.snapshot.loss.last, row.snapshot.headline_stage
    match column:
        case "run":
            return fit(clean(row.name), cells - 1) + " ", "strong"
        case "state":
            symbol, ink = SYMBOLS[stage.state] if stage else ("✗", "bad")
            return fit(f"{symbol} {row.state}", cells), ink
        case "stage":
            return fit(row.stage, cells), "plain"
        case "loss":
            figure = "–" if loss is None else aligned(number(loss), _DECIMALS, cells)
            return fit(figure, cells, right=True), "plain"
        case "age":
            return fit(age(max(0.0, time.time() - row.created)), cells, right=True), "dim"
        case "size":
            return fit(size(row.size), cells, right=True), "dim"
