"""Figures as a person reads them, in the room that they have."""

from __future__ import annotations

import pytest

from tui.readers.format import aligned, decimals, number, score


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (10.119, "+10.1190"),
        (-0.0001286, "-1.286e-04"),
        (2464.7263, "+2,464.7"),
        (-47312.4, "-47,312.4"),
        (999_999.97, "+1.000e+06"),
        (0.0, "0"),
        (-0.0, "0"),
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


def test_points_stand_below_each_other_where_there_is_room() -> None:
    figures = ["0.5", "12.25", "1,425", "–"]
    longest = max(map(decimals, figures))
    lines = [aligned(figure, longest, 8).rjust(8) for figure in figures]
    assert lines == ["    0.5 ", "   12.25", "1,425   ", "       –"]
    assert aligned("123,456", longest, 8) == "123,456"
