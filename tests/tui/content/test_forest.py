"""Intervals along a common axis."""

from __future__ import annotations

from tui.content.forest import Interval, forest, span_of


def test_the_value_lies_in_its_interval_beside_the_line() -> None:
    one = Interval(0.5, 0.25, 1.0)
    assert forest(one, (0.0, 1.0), 9, 0.0) == "┊ ├─●───┤"
    assert forest(Interval(0.5, None, None), (0.0, 1.0), 9, 0.0) == "┊   ●    "
    assert forest(one, (0.0, 1.0), 9, 0.75) == "  ├─●─┼─┤"
    assert forest(one, (0.0, 1.0), 9, 0.5) == "  ├─●───┤"


def test_the_axis_holds_every_end() -> None:
    assert span_of([Interval(0.5, -0.25, 1.0), Interval(2.0, None, None)], 0.0) == (-0.25, 2.0)
    assert span_of([Interval(0.0, 0.0, 0.0)], 0.0) == (-0.5, 0.5)
