"""Lines drawn in braille dots: two across and four down in every cell."""

from __future__ import annotations

from itertools import groupby

from tui.content.ink import Ink, Part

# Bits of the dots of a braille cell by (x, y): Unicode chapter 21.1, "Braille Patterns"
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_UPRIGHT = [
    {(top, low): sum(column[top : low + 1]) for top in range(4) for low in range(top, 4)}
    for column in _DOTS
]
"""Bits of the dots from one row of a cell to another, by (x, (top, low))."""
_BLANK = 0x2800


class Canvas:
    """`columns` × `rows` cells; dots count from the top left. `pen` is the ink of what is drawn."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = columns * 2, rows * 4
        self.pen: Ink = "accent"
        self._cells = [[0] * columns for _ in range(rows)]
        self._inks: list[list[Ink]] = [["plain"] * columns for _ in range(rows)]
        self._marks: list[dict[int, str]] = [{} for _ in range(rows)]

    def dot(self, x: int, y: int) -> None:
        """Sets a dot; outside the canvas nothing happens."""
        self._upright(x, y, y)

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Sets the dots from one point to another, both included."""
        if x0 == x1:
            self._upright(x0, min(y0, y1), max(y0, y1))
            return
        count = max(abs(x1 - x0), abs(y1 - y0))
        if x1 - x0 == 1:  # the commonest by far: two columns side by side
            middle = (y0 + y1) // 2
            self.line(x0, y0, x0, middle)
            self.line(x1, middle, x1, y1)
            return
        for step in range(count + 1):
            self.dot(x0 + round((x1 - x0) * step / count), y0 + round((y1 - y0) * step / count))

    def _upright(self, x: int, top: int, low: int) -> None:
        """A line down one column of dots, by whole cells."""
        if not 0 <= x < self.width:
            return
        top, low, column, bits = max(top, 0), min(low, self.height - 1), x // 2, _UPRIGHT[x % 2]
        for row in range(top // 4, low // 4 + 1):
            ends = max(top - 4 * row, 0), min(low - 4 * row, 3)
            self._cells[row][column] |= bits[ends]
            inks = self._inks[row]
            # where curves share a cell, both colours are seen: each in every other column
            if column not in self._marks[row] and (inks[column] == "plain" or column % 2):
                inks[column] = self.pen

    def mark(self, column: int, row: int, letter: str) -> None:
        """Puts a letter over a cell's dots; outside the canvas nothing happens."""
        if 0 <= column < self.width // 2 and 0 <= row < self.height // 4:
            self._marks[row][column] = letter
            self._inks[row][column] = self.pen

    def is_marked(self, column: int, row: int) -> bool:
        """Whether a letter lies over a cell's dots."""
        return 0 <= row < self.height // 4 and column in self._marks[row]

    def row(self, row: int) -> str:
        """One row of cells as text; a cell without dots is a blank."""
        letters = [chr(_BLANK + cell) if cell else " " for cell in self._cells[row]]
        for column, letter in self._marks[row].items():
            letters[column] = letter
        return "".join(letters)

    def parts(self, row: int) -> list[Part]:
        """One row of cells in its inks."""
        text, parts, begin = self.row(row), list[Part](), 0
        for ink, run in groupby(self._inks[row]):
            end = begin + len(list(run))
            parts.append((text[begin:end], ink))
            begin = end
        return parts
