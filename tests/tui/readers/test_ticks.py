"""Round values for the axes of a chart."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.readers.ticks import log_ticks, round_ticks, side_by_side, time_ticks
from tui.readers.window import RANKS, STEPS, TIME, TOKENS


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1000, 6, [0, 200, 400, 600, 800, 1000]),
        (0.63, 6.8, 4, [2, 4, 6]),
        (-3, 3, 4, [-2, 0, 2]),
        (0.1, 0.35, 6, [0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
        (1, 1, 4, []),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, expected: list[float]) -> None:
    assert round_ticks(low, high, most) == pytest.approx(expected)


def test_ticks_of_time_are_round_minutes_hours_and_days() -> None:
    assert time_ticks(0, 200, 5) == [0, 60, 120, 180]
    assert time_ticks(0, 4 * 3600, 5) == [0, 3600, 7200, 10800, 14400]
    assert time_ticks(0, 9.5 * 86400, 5) == [day * 86400 for day in (0, 2, 4, 6, 8)]


def test_ticks_of_a_logarithmic_scale_are_powers_of_ten_or_parts_of_such() -> None:
    assert log_ticks(0.01, 100, 5) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert log_ticks(0.7, 6, 5) == pytest.approx([1, 2, 5])
    assert log_ticks(2.1, 4.9, 5) == pytest.approx([2.5, 3, 3.5, 4, 4.5])
    assert len(log_ticks(1e-30, 1e30, 5)) <= 5


finite = st.floats(min_value=-1e12, max_value=1e12)


@given(finite, finite, st.integers(2, 20))
@example(-4e-272, -5e-275, 2)
@example(0.0, 5e-324, 2)
@example(0.0, 2e-300, 20)
def test_ticks_lie_within_the_axis_and_are_never_too_many(a: float, b: float, most: int) -> None:
    low, high = min(a, b), max(a, b)
    for ticks in (round_ticks(low, high, most), time_ticks(low, high, most)):
        assert len(ticks) <= most
        room = 1e-6 * (high - low)
        assert all(low - room <= tick <= high + room for tick in ticks)


def test_labels_never_touch_and_stay_within_the_line() -> None:
    assert side_by_side([(0, "0"), (4, "20"), (6, "30"), (9, "9")], 10) == "0  20    9"
    assert side_by_side([(0, "1,000"), (3, "2,000"), (9, "3")], 10) == "1,000    3"


def test_an_axis_tells_its_counts() -> None:
    assert [text for _, text in STEPS.ticks(0, 3, 8)] == ["0", "1", "2", "3"]  # no half steps
    assert [text for _, text in TOKENS.ticks(0, 2e6, 3)] == ["0", "1M", "2M"]
    assert [text for _, text in TIME.ticks(0, 7200, 3)] == ["0:00", "1h00", "2h00"]
    ranks = RANKS.ticks(RANKS.coordinate(1), RANKS.coordinate(1000), 6)
    assert [text for _, text in ranks] == ["1", "10", "100", "1,000"]
