"""Errors, intervals and tests for scores and for differences of two models on the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipeline.contract.results.verdict import Difference, Estimate

CONFIDENCE = 0.95
RESAMPLES = 2_000


def mean(values: Sequence[float], seed: int = 0) -> Estimate:
    """Mean of a score; Wilson's interval where every value is 0 or 1, else BCa bootstrap.

    Source: E. B. Wilson, JASA 22 (1927); B. Efron, JASA 82 (1987), as SciPy has them.
    """
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    stderr = float(sample.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    if np.isin(sample, (0.0, 1.0)).all():
        interval = stats.binomtest(int(sample.sum()), n).proportion_ci(CONFIDENCE, "wilson")
        return Estimate(float(sample.mean()), n, stderr, float(interval.low), float(interval.high))
    return Estimate(float(sample.mean()), n, stderr, *bootstrap(sample, seed))


def bootstrap(sample: NDArray[np.float64], seed: int) -> tuple[float | None, float | None]:
    """95 % BCa interval of the mean; None for a single value.

    Source: B. Efron, JASA 82 (1987), as SciPy has it.
    """
    if len(sample) < 2:
        return None, None
    if np.ptp(sample) == 0:
        return float(sample[0]), float(sample[0])
    interval = stats.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE,
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)


def paired_difference(first: Sequence[float], second: Sequence[float], seed: int) -> Difference:
    """How much the mean changes from first to second.

    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 13, 15.
    """
    gains = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    low, high = bootstrap(gains, seed)
    p_value: float | None = None
    if len(gains) > 1:
        p_value = 1.0
        if gains.any():
            test = stats.permutation_test(
                (gains,), np.mean, permutation_type="samples", n_resamples=RESAMPLES,
                rng=np.random.default_rng(seed),
            )  # fmt: skip
            p_value = float(test.pvalue)
    return Difference(len(gains), float(gains.mean()), low, high, p_value)


def t_mean(values: Sequence[float]) -> Estimate:
    """Mean with Student's 95 % interval: for a few values of one spread, such as seeds, of which
    resampling would give an interval that is too short.

    Source: Student, Biometrika 6 (1908).
    """
    sample = np.asarray(values, dtype=np.float64)
    n, value = len(sample), float(sample.mean())
    if n < 2:
        return Estimate(value, n, None, None, None)
    stderr = float(sample.std(ddof=1) / math.sqrt(n))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * stderr
    return Estimate(value, n, stderr, value - half, value + half)


def t_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Mean of second − first, pair by pair, with Student's 95 % interval and paired t-test."""
    gains = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    found = t_mean(gains.tolist())
    p_value = None
    if found.stderr is not None:
        ratio = abs(found.value) / found.stderr if found.stderr else math.inf
        p_value = float(2 * stats.t.sf(ratio, found.n - 1)) if found.value else 1.0
    return Difference(found.n, found.value, found.low, found.high, p_value)


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
