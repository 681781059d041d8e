"""Figures as a person reads them, in the room that they have."""

from __future__ import annotations

import pytest

from tui.readers.format import number, score


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (10.119, "+10.1190"),
        (-0.0001286, "-1.286e-04"),
        (2464.7263, "+2,464.7"),
        (-47312.4, "-47,312.4"),
        (999_999.97, "+1.000e+06"),
    ],
)
def test_a_score_shows_its_sign_and_stays_readable_when_it_is_large(
    value: float, told: str
) -> None:
    assert score(value) == told
    assert len(told) <= 10


@pytest.mark.parametrize(
    ("value", "told"), [(4538.2, "4,538"), (0.42131, "0.4213"), (3e7, "3e+07")]
)
def test_a_figure_has_its_thousands_apart(value: float, told: str) -> None:
    assert number(value) == told
