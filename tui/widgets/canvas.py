"""Lines drawn in braille dots: two across and four down in every cell."""

from __future__ import annotations

# Bits of the dots of a braille cell by (x, y): Unicode chapter 21.1, "Braille Patterns"
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800


class Canvas:
    """`columns` × `rows` cells; dots count from the top left."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = columns * 2, rows * 4
        self._cells = [[0] * columns for _ in range(rows)]

    def dot(self, x: int, y: int) -> None:
        """Sets a dot; outside the canvas nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Sets the dots from one point to another, both included."""
        count = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(count + 1):
            self.dot(x0 + round((x1 - x0) * step / count), y0 + round((y1 - y0) * step / count))

    def row(self, row: int) -> str:
        """One row of cells as text; a cell without dots is a blank."""
        return "".join(chr(_BLANK + cell) if cell else " " for cell in self._cells[row])
