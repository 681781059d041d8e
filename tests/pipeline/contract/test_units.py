"""Units: a number reads the same wherever it is shown."""

from __future__ import annotations

import pytest

from pipeline.contract.units import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.44, "0.4 s"),
        (38, "38 s"),
        (250, "4 min 10 s"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
    ],
)
def test_a_duration_has_no_more_digits_than_matter(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
