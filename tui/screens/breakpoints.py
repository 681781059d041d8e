"""The sizes of a screen that the style sheets tell apart."""

from __future__ import annotations

HEIGHTS = [(0, "-short"), (32, "-tall")]
"""Rows from which on a screen is called so."""

WIDTHS = [(0, "-narrow"), (110, "-wide")]
"""Columns from which on a screen is called so."""
