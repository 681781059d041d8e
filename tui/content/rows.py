"""What a table consists of: columns, rows and their cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tui.content.ink import Ink


@dataclass(frozen=True)
class Column:
    """A column; one without a width takes the room that the others leave."""

    title: str
    width: int = 0
    right: bool = False
    spare: bool = False
    """Left out where room is short."""


@dataclass(frozen=True)
class Cell:
    """What stands in a row under a column. The text may come from data as it is."""

    text: str
    ink: Ink = "plain"
    value: float | str | None = None
    """Sorted by and exported; the text where it is None."""


@dataclass(frozen=True)
class Row:
    """A line of the table, and what it stands for."""

    cells: tuple[Cell, ...]
    item: Any
    words: str = ""
    """What a filter looks through, besides the cells."""

    @property
    def text(self) -> str:
        """All that a filter looks through."""
        return " ".join([*(cell.text for cell in self.cells), self.words])
