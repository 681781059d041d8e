"""Texts fitted into cells."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tui.widgets.ink import fit_ends


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("trade-057-4", 14, "trade-057-4   "),
        ("trade-057-4", 10, "trad…057-4"),
        ("第一章第二节", 8, "第 …二节"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_a_name_that_is_too_long_keeps_both_ends(text: str, width: int, shown: str) -> None:
    assert fit_ends(text, width) == shown
    assert cell_len(shown) == width
