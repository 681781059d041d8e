"""A row as its source gives it, before anything is known of its text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.contract.errors import DataError


@dataclass(frozen=True)
class Row:
    """The wanted cells of a row, or why it could not be read."""

    source: str
    number: int
    """0-based in the source."""
    cells: dict[str, Any]
    fault: str = ""
    line: int = 0
    """1-based line of a text file; 0 = the source has no lines."""

    @property
    def location(self) -> str:
        """Where a person finds the row."""
        return f"{self.source}:{self.line}" if self.line else f"{self.source} row {self.number}"


def check_columns(wanted: Iterable[str], there: Iterable[str], where: str) -> None:
    """Refuses a source that lacks a column.

    Raises:
        DataError: naming the columns that there are.
    """
    names = list(there)
    for name in wanted:
        if name not in names:
            hint = "set data.text_column (and data.id_column) to one of these"
            known = ", ".join(names) or "none"
            raise DataError(f"{where} has no column {name!r}; there are: {known}", hint)
