"""Matched examples are those nearest in length and gradient size, and none of the marked."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.contract.errors import UsageError
from pipeline.contract.results.matching import matched, randomly

NO_GROUPS = np.full(6, -1, dtype=np.int32)
LENGTHS = np.array([10, 11, 40, 42, 80, 10], dtype=np.int32)
SIZES = np.array([1.0, 1.1, 9.0, 9.5, 1.0, 30.0], dtype=np.float32)


def test_the_nearest_in_length_and_gradient_size_is_taken() -> None:
    assert matched(np.array([0, 2]), LENGTHS, SIZES, NO_GROUPS).tolist() == [1, 3]


def test_none_is_taken_twice_or_from_among_the_marked() -> None:
    found = matched(np.array([0, 1, 2]), LENGTHS, SIZES, NO_GROUPS)
    assert sorted(found.tolist()) == [3, 4, 5]


def test_a_near_duplicate_of_a_marked_one_is_no_comparison() -> None:
    groups = np.array([3, 3, -1, -1, -1, -1], dtype=np.int32)
    assert 1 not in matched(np.array([0]), LENGTHS, SIZES, groups)


def test_missing_and_zero_gradients_are_the_smallest() -> None:
    sizes = np.array([0.0, np.nan, 9.0, 9.5, 1.0, 30.0], dtype=np.float32)
    assert matched(np.array([0]), LENGTHS, sizes, NO_GROUPS).tolist() == [1]


def test_too_few_others_are_refused() -> None:
    with pytest.raises(UsageError, match="only 2 others"):
        matched(np.array([0, 1, 2, 3]), LENGTHS, SIZES, NO_GROUPS)


def test_random_ones_are_the_same_for_other_marks_wherever_they_can_be() -> None:
    one, other = (randomly(np.array(marks), 1000, seed=3) for marks in ([1, 2], [5, 6]))
    assert one.tolist() == other.tolist()
    again = randomly(one, 1000, seed=3)
    assert not set(again.tolist()) & set(one.tolist())
