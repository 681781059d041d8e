"""The runs: marks, name, state, and of their other facts what there is room for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar
from zlib import crc32

from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from pipeline.contract.units import size
from tui.content.ink import MARKS, SERIES, Part, fit
from tui.content.states import SYMBOLS
from tui.keys import bindings
from tui.readers.clean import clean
from tui.readers.format import age, aligned, number
from tui.readers.runs import COLUMNS, SPECIAL, Column, RunRow, value_of
from tui.widgets.lines import GUTTER, Lines

_GUTTER = 4
_WIDTHS: dict[Column, int] = {
    "state": 12,
    "stage": 11,
    "model": 17,
    "data": 12,
    "train loss": 12,
    "val loss": 10,
    "MRR": 7,
    "LDS": 7,
    "tags": 14,
    "note": 12,
    "age": 13,
    "size": 10,
}
_DECIMALS: dict[Column, int] = {"train loss": len(".0000"), "val loss": len(".0000")}
_RIGHT: tuple[Column, ...] = ("train loss", "val loss", "MRR", "LDS", "age", "size")
_FIRST: tuple[Column, ...] = (
    *("state", "val loss", "age", "MRR", "tags", "model"),
    *("note", "data", "stage", "LDS", "train loss", "size"),
)
"""Columns in the order in which they get room."""
_NAME, _LONG_NAME = 14, 30
"""Cells of a name at the least, and where a note wants room, too."""


class RunList(Lines):
    """One line a run. The cursor stays on its run when others come and go."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("marks")

    rows: reactive[tuple[RunRow, ...]] = reactive((), repaint=False)
    marked: reactive[dict[Path, int]] = reactive(dict)
    """Marked runs, and the number of the ink and the mark that each keeps."""
    pinned: reactive[frozenset[str]] = reactive(frozenset())
    known: reactive[frozenset[Column]] = reactive(frozenset())
    """The columns of `SPECIAL` that are shown."""
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

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that there is room for, from the left."""
        return tuple(self._columns(self.scrollable_content_region.width - GUTTER))

    def header(self, width: int) -> list[Part]:
        """Names of the columns, the sorted one with its direction."""
        columns = self._columns(width)
        parts: list[Part] = [(" " * _GUTTER, "dim")]
        for column, cells in columns.items():
            arrow = ("▲" if self.reverse else "▼") if column == self.column else ""
            text = f"  {column}{arrow}" if column == "state" else column + arrow
            parts.append((_in_cells(text, column, cells), "strong" if arrow else "dim"))
        return parts

    def line(self, index: int, width: int) -> list[Part]:
        """`⚑ ● demo  ✓ done  nano  0.412  0.99  3 min ago`."""
        row = self.rows[index]
        pin: Part = ("⚑ " if row.name in self.pinned else "  ", "warn")
        look = self.marked.get(row.run.root)
        mark: Part = ("  ", "plain") if look is None else (f"{MARKS[look]} ", SERIES[look])
        return [pin, mark, *(_cell(row, column, n) for column, n in self._columns(width).items())]

    def _columns(self, width: int) -> dict[Column, int]:
        """Cells of every column that there is room for; names and notes take what is left."""
        left = width - _GUTTER - _NAME
        shown = set[Column]()
        for column in _FIRST:
            absent = column in SPECIAL and column not in self.known
            if not absent and _WIDTHS[column] <= left:
                left -= _WIDTHS[column]
                shown.add(column)
        name = max(8, min(_NAME + left, width - _GUTTER))
        if "note" in shown:
            name = min(_NAME + left // 2, _LONG_NAME)
        widths = {"run": name, **_WIDTHS, "note": _WIDTHS["note"] + _NAME + left - name}
        return {column: widths[column] for column in COLUMNS if column in {"run", *shown}}


def look_of(name: str, taken: set[int]) -> int | None:
    """The number of a run's ink and mark: always the same for a name, unless that one is taken."""
    first = crc32(name.encode("utf-8", "replace"))
    looks = ((first + n) % len(SERIES) for n in range(len(SERIES)))
    return next((look for look in looks if look not in taken), None)


def _in_cells(text: str, column: Column, cells: int) -> str:
    """It ends a cell before its column does, so that two of them never join."""
    return fit(text, cells - 1, right=column in _RIGHT) + " "


def _cell(row: RunRow, column: Column, cells: int) -> Part:
    value = value_of(row.facts, column)
    if column == "state":
        stage = row.snapshot.headline_stage
        symbol, ink = SYMBOLS[stage.state] if stage else ("✗", "bad")
        return _in_cells(f"{symbol} {value}", column, cells), ink
    if value in (None, "", ()):
        return _in_cells("–", column, cells), "dim"
    ink = "strong" if column == "run" else "dim" if column in ("age", "size", "note") else "plain"
    return _in_cells(_text(row, column, cells), column, cells), ink


def _text(row: RunRow, column: Column, cells: int) -> str:
    value = value_of(row.facts, column)
    match column:
        case "age":
            return age(max(0.0, time.time() - row.facts.time))
        case "size":
            return size(row.size)
        case "tags":
            return clean(" ".join(row.facts.remarks.tags))
    if isinstance(value, int | float):
        figure = number(value) if column in _DECIMALS else f"{value:.2f}"
        return aligned(figure, _DECIMALS.get(column, 0), cells - 1)
    return clean(str(value))
