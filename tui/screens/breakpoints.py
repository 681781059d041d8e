"""The sizes of a screen that the style sheets tell apart."""

from __future__ import annotations

HEIGHTS = [(0, "-short"), (32, "-tall")]
"""Rows from which on a screen is called so."""

WIDTHS = [(0, "-narrow"), (110, "-wide")]
"""Columns from which on a screen is called so."""


def size_classes(columns: int, rows: int) -> tuple[str, str]:
    """What a screen of a size is called."""
    return _highest(WIDTHS, columns), _highest(HEIGHTS, rows)


def _highest(classes: list[tuple[int, str]], size: int) -> str:
    return max((least, name) for least, name in classes if least <= size)[1]
