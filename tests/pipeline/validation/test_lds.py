"""The linear datamodeling score: what it rewards, and what its interval means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipeline.contract.results.sets import mean_of_rows
from pipeline.validation.lds import SubsetOutcomes, random_halves, spearman

EXAMPLES, SUBSETS, PROMPTS = 60, 24, 8


def outcomes_of(scores: np.ndarray, halves: list[np.ndarray], noise: float) -> np.ndarray:
    """What models would come to if every example added its score, and chance its share."""
    rng = np.random.default_rng(5)
    sums = np.array([scores[:, half].sum(axis=1) for half in halves])
    return sums + noise * rng.standard_normal(sums.shape)


@pytest.fixture
def halves() -> list[np.ndarray]:
    return random_halves(SUBSETS, EXAMPLES, seed=0)


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((PROMPTS, EXAMPLES)).astype(np.float32)


def test_halves_are_halves_each_another() -> None:
    halves = random_halves(6, 11, seed=3)
    assert all(len(half) == 6 and len(set(half.tolist())) == 6 for half in halves)
    assert len({tuple(half.tolist()) for half in halves}) == 6


def test_scores_that_add_up_to_the_outcome_get_one(
    halves: list[np.ndarray], truth: np.ndarray
) -> None:
    result = SubsetOutcomes(halves, EXAMPLES, outcomes_of(truth, halves, 0), 0).score(truth)
    assert result is not None
    assert result[0].value == pytest.approx(1)


def test_prompts_of_a_set_count_alike_whatever_the_size_of_their_scores(
    halves: list[np.ndarray], truth: np.ndarray
) -> None:
    """A prompt of a thousand times larger outcomes decides nothing for the others."""
    sizes = np.array([1000.0, *[1.0] * (PROMPTS - 1)])[:, None]
    outcomes = outcomes_of(truth * sizes, halves, 0)
    of_set = SubsetOutcomes(halves, EXAMPLES, outcomes, 0).of_set(list(range(PROMPTS)))
    alike, _ = mean_of_rows(((str(row), scores) for row, scores in enumerate(truth)), EXAMPLES)
    together = of_set.score(alike[None])
    first_alone = of_set.score(truth[:1])
    assert together is not None
    assert first_alone is not None
    assert together[0].value > 0.9 > 0.7 > first_alone[0].value


def test_unrelated_scores_get_an_interval_around_nothing(
    halves: list[np.ndarray], truth: np.ndarray
) -> None:
    unrelated = np.random.default_rng(9).standard_normal(truth.shape).astype(np.float32)
    result = SubsetOutcomes(halves, EXAMPLES, outcomes_of(truth, halves, 0), 0).score(unrelated)
    assert result is not None
    assert result[0].low < 0 < result[0].high


def test_noise_lowers_the_score_and_the_interval_holds_it(
    halves: list[np.ndarray], truth: np.ndarray
) -> None:
    trained = SubsetOutcomes(halves, EXAMPLES, outcomes_of(truth, halves, 4.0), 0)
    result = trained.score(truth)
    assert result is not None
    assert 0.2 < result[0].low < result[0].value < result[0].high < 1


def test_a_half_whose_training_failed_and_a_prompt_without_scores_are_left_out(
    halves: list[np.ndarray], truth: np.ndarray
) -> None:
    outcomes = outcomes_of(truth, halves, 0)
    outcomes[3] = np.nan
    holed = truth.copy()
    holed[0] = np.nan
    trained = SubsetOutcomes(halves, EXAMPLES, outcomes, 0)
    result = trained.score(holed)
    assert trained.subsets == SUBSETS - 1
    assert result is not None
    assert result[0].prompts == PROMPTS - 1
    assert result[0].value == pytest.approx(1)
    assert trained.score(np.full_like(truth, np.nan)) is None


def test_spearman_is_scipys_with_ties_too() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(4, size=(12, 3)).astype(float), rng.standard_normal((12, 3))
    wanted = [stats.spearmanr(first[:, n], second[:, n]).statistic for n in range(3)]
    assert spearman(first, second) == pytest.approx(wanted)
    assert spearman(np.ones((4, 1)), np.arange(4.0)[:, None])[0] == 0
