"""A difference is claimed only where its interval and its test both bear it out."""

from __future__ import annotations

import pytest

from pipeline.contract.results.verdict import Difference, Verdict, verdict


@pytest.mark.parametrize(
    ("low", "high", "p_value", "expected"),
    [
        (0.1, 0.5, 0.01, "better"),
        (-0.5, -0.1, 0.01, "worse"),
        (-0.1, 0.5, 0.01, "no difference shown"),
        (0.0, 0.5, 0.01, "no difference shown"),
        (-0.5, 0.0, 0.01, "no difference shown"),
        (0.1, 0.5, 0.05, "no difference shown"),
        (0.1, 0.5, 0.2, "no difference shown"),
        (-0.5, -0.1, 0.2, "no difference shown"),
        (0.1, 0.5, None, "better"),
        (-0.5, -0.1, None, "worse"),
        (None, None, None, "no difference shown"),
        (None, None, 0.01, "no difference shown"),
    ],
)
def test_the_interval_leaves_out_zero_and_the_test_agrees(
    low: float | None, high: float | None, p_value: float | None, expected: Verdict
) -> None:
    assert verdict(Difference(9, 0.2, low, high, p_value)) == expected
