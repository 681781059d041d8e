"""Intervals and tests against figures known from elsewhere."""

from __future__ import annotations

import pytest

from pipeline.contract.results.verdict import verdict
from pipeline.evaluation.statistics import mcnemar, mean, paired_difference


def test_a_share_has_wilsons_interval() -> None:
    found = mean([1.0] * 31 + [0.0] * 69)
    assert (found.low, found.high) == pytest.approx((0.2278, 0.4063), abs=1e-4)
    assert found.stderr == pytest.approx(0.0465, abs=1e-4)


def test_mcnemar_is_a_sign_test_on_the_questions_that_differ() -> None:
    first = [1.0] * 2 + [0.0] * 8 + [1.0] * 50
    second = [0.0] * 2 + [1.0] * 8 + [1.0] * 50
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (2, 8)
    assert found.p_value == pytest.approx(0.109375)
    assert mcnemar([1.0], [1.0]).p_value == 1.0


def test_a_difference_is_claimed_only_where_interval_and_test_bear_it_out() -> None:
    noise = [0.1, -0.2, 0.15, -0.05, 0.0, 0.1, -0.1, 0.02, -0.03, 0.01]
    nothing = paired_difference([0.5] * 10, [0.5 + n for n in noise], seed=0)
    gain = paired_difference([0.5] * 10, [0.8 + n for n in noise], seed=0)
    assert verdict(nothing) == "no difference shown"
    assert verdict(gain) == "better"
    assert gain.difference == pytest.approx(0.3)
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < 0.3 < gain.high
    assert paired_difference([0.5] * 10, [0.8 + n for n in noise], seed=0) == gain


def test_a_single_prompt_decides_nothing() -> None:
    alone = paired_difference([0.1], [0.9], seed=0)
    assert (alone.low, alone.p_value) == (None, None)
    assert verdict(alone) == "no difference shown"
