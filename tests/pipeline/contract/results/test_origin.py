"""The word for where an answer comes from."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.contract.results.origin import (
    OriginWord,
    explained,
    is_taught,
    is_taught_by,
    origin_word,
)


@pytest.mark.parametrize(
    ("copied", "taught", "word"),
    [
        (True, None, "copied"),
        (True, False, "copied"),
        (False, True, "taught"),
        (False, False, "neither"),
        (False, None, "not known"),
        (None, True, "not known"),  # it may be a copy
        (None, None, "not known"),
    ],
)
def test_a_copy_goes_before_influence_and_what_was_not_looked_for_is_not_known(
    copied: bool | None, taught: bool | None, word: OriginWord
) -> None:
    assert origin_word(copied, taught) == word
    assert explained(word)


def test_proponents_that_stand_out_from_the_opponents_taught_an_answer() -> None:
    assert is_taught([9.0, 4.0], [-3.0, -2.0])
    assert is_taught([6.0, 4.0], [-3.0, -2.0])  # twice as much
    assert not is_taught([5.9, 4.0], [-3.0, -2.0])
    assert not is_taught([-1.0], [-1.0])
    assert not is_taught([0.0], [0.0])
    assert is_taught([2.0], [1.0])  # nothing speaks against it
    assert is_taught([], []) is None


def test_no_example_is_weighed_against_itself_and_missing_scores_are_left_out() -> None:
    few = np.array([9.0, np.nan, -1.0, 2.0], np.float32)
    assert is_taught_by(few)  # 9 against 1: the one between them is left out
    assert is_taught_by(np.array([np.nan, 3.0], np.float32)) is None


def test_the_scores_of_chance_seldom_teach_and_planted_ones_do() -> None:
    rng = np.random.default_rng(0)
    chance = rng.standard_t(2, (200, 1000)).astype(np.float32)
    assert np.mean([is_taught_by(row) for row in chance]) < 0.25
    normal = rng.standard_normal((200, 1000)).astype(np.float32)
    assert not any(is_taught_by(row) for row in normal)
    normal[:, :5] += 8
    assert all(is_taught_by(row) for row in normal)
