"""Where a text was read, for reading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def place(source: str, row: int) -> str:
    """A file's or data set's own name and the row, "books.jsonl row 12": a path is long, and it is
    its end that tells."""
    return f"{PurePath(source).name} row {row}"


def place_of(ranked: Mapping[str, Any]) -> str:
    """The same of a row of a ranking; nothing where scores of old do not say it."""
    return place(ranked["source"], ranked["row"]) if "source" in ranked else ""
