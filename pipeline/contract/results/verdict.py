"""Figures with their intervals, and what a difference bears out: one rule for all who say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["better", "worse", "no difference shown"]
BETTER: Verdict = "better"
WORSE: Verdict = "worse"
UNDECIDED: Verdict = "no difference shown"
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Estimate:
    """A mean with its uncertainty; shares of 1 where the values are."""

    value: float
    n: int
    """Values that it is the mean of."""
    stderr: float | None
    """Sample standard deviation ÷ √n; None for a single value."""
    low: float | None
    high: float | None
    """95 % interval; None for a single value that is neither 0 nor 1."""


@dataclass(frozen=True)
class Difference:
    """Second minus first on the same items."""

    n: int
    """Items that both were measured on."""
    difference: float
    low: float | None
    high: float | None
    """95 % interval; None for a single item."""
    p_value: float | None
    """Two-sided; None where nothing was tested."""


def verdict(difference: Difference) -> Verdict:
    """What a difference bears out, where more is better.

    The interval has to leave out 0 and, where there is a test, p has to be below 0.05: interval and
    test rest on different assumptions, and near the limit they do disagree.
    """
    if difference.low is None or difference.high is None:
        return UNDECIDED
    if difference.p_value is not None and difference.p_value >= SIGNIFICANT:
        return UNDECIDED
    return BETTER if difference.low > 0 else WORSE if difference.high < 0 else UNDECIDED
