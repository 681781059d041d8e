"""Errors, intervals and tests for scores and for differences of two models on the same items."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its uncertainty; shares of 1 where the values are."""

    value: float
    n: int
    stderr: float | None
    """Sample standard deviation ÷ √n; None for a single value."""
    low: float
    high: float
    """95 % interval."""


def mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """Mean of a score; Wilson's interval where every value is 0 or 1, else BCa bootstrap.

    Source: E. B. Wilson, JASA 22 (1927); B. Efron, JASA 82 (1987), as SciPy has them.
    """
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    stderr = float(sample.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    if np.isin(sample, (0.0, 1.0)).all():
        interval = stats.binomtest(int(sample.sum()), n).proportion_ci(CONFIDENCE, "wilson")
        low, high = interval.low, interval.high
    else:
        low, high = bootstrap((sample,), np.mean, seed)
    return Estimate(float(sample.mean()), n, stderr, float(low), float(high))


def bootstrap(
    samples: tuple[NDArray[np.float64], ...], statistic: Callable[..., float], seed: int
) -> tuple[float, float]:
    """95 % interval of a statistic of items that are drawn together.

    (nan, nan) for a single item.
    """
    if len(samples[0]) < 2:
        return math.nan, math.nan
    if all(np.ptp(sample) == 0 for sample in samples):
        value = statistic(*samples)
        return float(value), float(value)
    found = stats.bootstrap(
        samples,
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
        method="percentile" if len(samples) > 1 else "BCa",
    ).confidence_interval
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class McNemar:
    """Where two models differ on the same questions."""

    only_first: int
    """Questions that only the first answered rightly."""
    only_second: int
    p_value: float
    """Exact, two-sided; 1 where they never differ."""


def mcnemar(first: Sequence[float], second: Sequence[float]) -> McNemar:
    """Exact McNemar test of two models' right and wrong answers, question by question.

    Source: Q. McNemar, Psychometrika 12 (1947); exact as a sign test on the discordant pairs.
    """
    pairs = list(zip(first, second, strict=True))
    only_first = sum(a > b for a, b in pairs)
    only_second = sum(b > a for a, b in pairs)
    differing = only_first + only_second
    p_value = stats.binomtest(only_first, differing).pvalue if differing else 1.0
    return McNemar(only_first, only_second, float(p_value))
