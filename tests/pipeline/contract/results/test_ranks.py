"""The order of examples, and that every list, page and screen tells the same rank."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from pipeline.contract.results.ranks import Scores, highest_first, rank_of

TIED = np.array([0.5, math.nan, 2.0, 0.5, -1.0, 2.0, 0.5], np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_ordered_as_python_orders_them(seed: int) -> None:
    chance = random.Random(seed)
    special = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-45, -1e-45, 3e38]
    values = [chance.choice([*special, chance.gauss(0, 1)]) for _ in range(500)]
    scores = np.array(values, np.float32)
    known = [n for n in range(len(scores)) if not np.isnan(scores[n])]
    assert highest_first(scores).tolist() == sorted(known, key=lambda n: -float(scores[n]))


def test_equal_scores_are_ranked_in_the_order_of_the_corpus() -> None:
    assert [rank_of(TIED, index) for index in range(len(TIED))] == [3, None, 1, 4, 6, 2, 5]


@pytest.mark.parametrize("seed", range(3))
def test_an_examples_rank_is_its_line_in_the_list(seed: int) -> None:
    chance = random.Random(seed)
    values = [chance.choice([math.nan, -0.0, 0.0, 0.25, 1.5, -3.0]) for _ in range(300)]
    scores = np.array(values, np.float32)
    ranks = [rank_of(scores, index) for index in highest_first(scores).tolist()]
    assert ranks == list(range(1, len(ranks) + 1))


def test_scores_that_lie_apart_in_memory_are_ordered_too() -> None:
    apart = np.stack([TIED, -TIED], axis=1)[:, 0]
    assert not apart.flags.c_contiguous
    assert highest_first(apart).tolist() == highest_first(TIED).tolist()


def made(kind: str, chance: np.random.Generator) -> Scores:
    """Scores of a kind that a shortcut could get wrong."""
    scores = chance.standard_normal(5000).astype(np.float32)
    match kind:
        case "rising":
            scores.sort()
        case "a few values":
            scores = np.round(scores)
        case "nearly all alike":
            scores[chance.random(len(scores)) < 0.99] = 0
        case "nearly none":
            scores[7:] = np.nan
        case "many missing":
            scores[chance.random(len(scores)) < 0.5] = np.nan
        case "infinite":
            scores[chance.random(len(scores)) < 0.5] = -np.inf
            scores[::9] = np.inf
    return scores


KINDS = ("all different", "rising", "a few values", "nearly all alike", "nearly none",
         "many missing", "infinite")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 10, 600, 2500, 5000, 6000])
def test_the_first_ones_alone_are_those_of_the_whole_order(kind: str, count: int) -> None:
    for seed in range(5):
        scores = made(kind, np.random.default_rng(seed))
        assert highest_first(scores, count).tolist() == highest_first(scores)[:count].tolist()
