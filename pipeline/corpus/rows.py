"""A row of a data source, before its text is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.contract.errors import DataError

EVERY_COLUMN: Sequence[str] = ("*",)
"""As the optional columns of a reading: whatever columns the source has."""


@dataclass(frozen=True)
class Row:
    """The wanted cells of a row, or the reason why it could not be read."""

    source: str
    """File, dataset or "demo"."""
    number: int
    """0-based row number in the source."""
    cells: Mapping[str, Any]  # Any: whatever a source holds; who reads the text checks it
    fault: str = ""
    """Why the row could not be read; empty if it could."""
    line: int = 0
    """1-based line in a text file; 0 if the source has no lines."""
    size: int = 0
    """Bytes of the source that the row takes; 0 where the source does not tell."""
    lines: int = 0
    """Lines of a text file that the row takes."""

    @property
    def location(self) -> str:
        """Where to find the row, for messages: "file:line" or "source row number"."""
        return f"{self.source}:{self.line}" if self.line else f"{self.source} row {self.number}"


def check_columns(wanted: Iterable[str], available: Iterable[str], source: str) -> None:
    """Checks that a source has the wanted columns.

    Raises:
        DataError: one is missing, with the available ones listed; or one is there twice.
    """
    names = list(available)
    for name in wanted:
        if name not in names:
            hint = "set the columns of the form in [data] (and data.id_column) to some of these"
            known = ", ".join(names) or "none"
            raise DataError(f"{source} has no column {name!r}; there are: {known}", hint)
        if names.count(name) > 1:
            hint = "rename one of them: either may be meant"
            raise DataError(f"{source} has {names.count(name)} columns {name!r}", hint)


def present(wanted: Iterable[str], optional: Iterable[str], available: Sequence[str]) -> list[str]:
    """The columns to read: those that are wanted, and the optional ones that are there."""
    names = set(available)
    if optional is EVERY_COLUMN:
        optional = available
    return list(dict.fromkeys((*wanted, *(name for name in optional if name in names))))
