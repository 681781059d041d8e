"""Intervals drawn along a common axis, as in a forest plot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.contract.results.verdict import Difference, Estimate

_CROSSED = {" ": "┊", "─": "┼"}
"""What the line to compare with makes of what is drawn where it stands."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; None where there is no interval."""

    value: float
    low: float | None
    high: float | None


def interval_of(estimate: Estimate | Difference) -> Interval:
    """A figure or a difference as it is drawn."""
    value = estimate.value if isinstance(estimate, Estimate) else estimate.difference
    return Interval(value, estimate.low, estimate.high)


def span_of(intervals: Iterable[Interval], *more: float) -> tuple[float, float]:
    """From the lowest to the highest end of all, and of some other values."""
    ends = [
        end for one in intervals for end in (one.low, one.value, one.high) if end is not None
    ] + list(more)
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def forest(one: Interval, span: tuple[float, float], width: int, line: float) -> str:
    """`  ┊ ├──●──┤ `: the value in its interval, and an upright line to compare it with."""
    letters = [" "] * width

    def column(value: float) -> int:
        share = (value - span[0]) / (span[1] - span[0])
        return max(0, min(width - 1, round(share * (width - 1))))

    if one.low is not None and one.high is not None:
        first, last = column(one.low), column(one.high)
        letters[first : last + 1] = "─" * (last - first + 1)
        letters[first], letters[last] = "├", "┤"
    at = column(line)
    letters[at] = _CROSSED.get(letters[at], letters[at])
    letters[column(one.value)] = "●"
    return "".join(letters)
