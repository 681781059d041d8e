"""A table that sorts by any of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.reactive import reactive

from tui.content.ink import Part, fit
from tui.content.rows import Cell, Column, Row
from tui.keys import bindings
from tui.readers.clean import clean
from tui.readers.format import aligned, decimals
from tui.widgets.lines import GUTTER, Lines

_CUT = 400
_LOOKED_AT = 1_000
"""Rows whose figures are measured."""
_NARROWEST = 26
"""Cells that the widest column keeps while spare ones are left out."""


class Table(Lines):
    """One line a row; the cursor stays on its row when the order changes."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("table")

    columns: reactive[tuple[Column, ...]] = reactive(())
    rows: reactive[tuple[Row, ...]] = reactive(())
    """In the order in which they are shown: set by `show`."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._unsorted: tuple[Row, ...] = ()
        self._decimals: list[int] = []
        self._sorted_by: int | None = None
        self._reverse = False

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def show(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Shows rows; where the columns are others, in the order in which the rows come."""
        if tuple(columns) != self.columns:
            self.columns, self._sorted_by, self._reverse = tuple(columns), None, False
        self._unsorted = tuple(rows)
        self._decimals = [_decimals(rows, n) if c.right else 0 for n, c in enumerate(columns)]
        self._arrange()

    def _arrange(self) -> None:
        held, rows = self.selected, list(self._unsorted)
        position = self._sorted_by
        if position is not None:
            rows.sort(key=lambda row: _key(row.cells[position]), reverse=self._reverse)
            rows.sort(key=lambda row: row.cells[position].text in ("", "–"))  # unknown ones last
        elif self._reverse:
            rows.reverse()
        self.rows = tuple(rows)
        self.count = len(rows)
        items = [id(row.item) for row in rows]
        self.cursor = items.index(id(held.item)) if held and id(held.item) in items else 0
        self.refresh()
        self.post_message(self.Moved(self, self.cursor))

    def action_sort(self) -> None:
        """Sorts by the next column, after the last in the file's own order."""
        following = 0 if self._sorted_by is None else self._sorted_by + 1
        self._sorted_by = following if following < len(self.columns) else None
        self._arrange()

    def choose_column(self, x: int) -> None:
        """Sorts by the column at a cell; where that is so already, the other way around."""
        for position, cells in self._widths(self.scrollable_content_region.width - GUTTER).items():
            if 0 <= x < cells:
                self._reverse = position == self._sorted_by and not self._reverse
                self._sorted_by = position
                self._arrange()
                return
            x -= cells

    def action_reverse(self) -> None:
        """Turns the order around."""
        self._reverse = not self._reverse
        self._arrange()

    def header(self, width: int) -> list[Part]:
        """Names of the columns, the sorted one with its direction."""
        parts = list[Part]()
        for position, cells in self._widths(width).items():
            column = self.columns[position]
            arrow = ("▼" if self._reverse else "▲") if position == self._sorted_by else ""
            text = fit(column.title + arrow, cells - 1, right=column.right) + " "
            parts.append((text, "strong" if arrow else "dim"))
        return parts

    def line(self, index: int, width: int) -> list[Part]:
        """The cells that there is room for."""
        row = self.rows[index]
        return [
            (self._fitted(position, row.cells[position].text, cells - 1) + " ",
             row.cells[position].ink)
            for position, cells in self._widths(width).items()
        ]  # fmt: skip

    def _fitted(self, position: int, text: str, cells: int) -> str:
        if not self.columns[position].right:
            return fit(clean(text, _CUT), cells)
        return fit(aligned(clean(text, _CUT), self._decimals[position], cells), cells, right=True)

    def _widths(self, width: int) -> dict[int, int]:
        """Cells of every column that there is room for, by its position."""
        shown = dict(enumerate(self.columns))
        wide = sum(not column.width for column in self.columns)

        def left() -> int:
            return width - sum(column.width + 1 for column in shown.values() if column.width)

        for position in reversed([n for n, column in shown.items() if column.spare]):
            if left() < wide * _NARROWEST:
                del shown[position]
        room = max(8, left() // max(1, wide))
        return {n: column.width + 1 if column.width else room for n, column in shown.items()}


class Sheet(Table):
    """A table whose rows lead nowhere."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to open."""
        return action != "choose"


def _decimals(rows: Sequence[Row], position: int) -> int:
    """The longest of a column's figures from its point on."""
    return max((decimals(row.cells[position].text) for row in rows[:_LOOKED_AT]), default=0)


def _key(cell: Cell) -> tuple[float, str]:
    """Numbers before texts."""
    value = cell.text.casefold() if cell.value is None else cell.value
    return (float("inf"), value) if isinstance(value, str) else (value, "")
