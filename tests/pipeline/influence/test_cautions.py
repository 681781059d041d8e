"""Warnings about rankings that say more about the method than about the model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract.settings.prompts import Prompt
from pipeline.influence.cautions import cautions

N, Q = 60, 5
PROMPTS = [Prompt(id=f"p{n}", prompt="x", completion=" y") for n in range(Q)]


def table(lengths: np.ndarray | None = None, groups: np.ndarray | None = None) -> pa.Table:
    return pa.table(
        {
            "example_id": [f"d{n}" for n in range(N)],
            "n_tokens": pa.array(lengths if lengths is not None else np.arange(N) + 20, pa.int32()),
            "duplicate_group": pa.array(groups if groups is not None else [-1] * N, pa.int32()),
        }
    )


@pytest.fixture
def scores() -> np.ndarray:
    """Nothing odd: other examples on top of every prompt, scores that fall slowly."""
    falling = np.linspace(2, -1, N).astype(np.float32)
    rng = np.random.default_rng(0)
    middle = np.arange(10, 50)
    rows = []
    for prompt in range(Q):
        order = np.concatenate([np.roll(middle, -8 * prompt), np.setdiff1d(np.arange(N), middle)])
        row = np.empty(N, dtype=np.float32)
        row[order] = falling + rng.random() / 10
        rows.append(row)
    return np.array(rows)


def test_a_sound_ranking_gets_no_warning(scores: np.ndarray) -> None:
    assert list(cautions(PROMPTS, table(), scores)) == []


def test_an_outlier_is_named_with_its_prompt(scores: np.ndarray) -> None:
    scores[2, 30] = 100
    (message,) = cautions(PROMPTS, table(), scores)
    assert message == (
        "1 of 5 prompts (p2): the first example scores more than 10 times the second"
    )


def test_a_list_of_near_duplicates_is_named(scores: np.ndarray) -> None:
    groups = np.full(N, -1)
    groups[np.argsort(-scores[1])[:6]] = 3
    messages = list(cautions(PROMPTS, table(groups=groups), scores))
    assert any("(p1" in message and "near-duplicates" in message for message in messages)


def test_a_list_of_the_longest_is_named(scores: np.ndarray) -> None:
    lengths = np.arange(N) + 20
    many = np.concatenate([np.full(200, 25), lengths])
    wide = np.concatenate([np.full((1, 200), -2, np.float32), scores[:1] * 0], axis=1)
    wide[0, -10:] = np.arange(10, 20)  # the ten longest of 260
    examples = pa.table(
        {
            "example_id": [f"d{n}" for n in range(260)],
            "n_tokens": pa.array(many, pa.int32()),
            "duplicate_group": pa.array([-1] * 260, pa.int32()),
        }
    )
    (message,) = cautions(PROMPTS[:1], examples, wide)
    assert "(p0)" in message
    assert "among the longest or shortest 5% of the corpus" in message


def test_equal_scores_are_named_but_not_those_of_copies(scores: np.ndarray) -> None:
    first, second = np.argsort(-scores[1])[:2]
    scores[1, second] = scores[1, first]
    (message,) = cautions(PROMPTS, table(), scores)
    assert message.startswith("1 of 5 prompts (p1): equal scores in the top 10")
    groups = np.full(N, -1)
    groups[[first, second]] = 3
    assert list(cautions(PROMPTS, table(groups=groups), scores)) == []


def test_examples_on_top_of_most_prompts_are_called_boilerplate(scores: np.ndarray) -> None:
    scores[:4, 7] = 2.5
    (message,) = cautions(PROMPTS, table(), scores)
    assert message.startswith("1 example is in the top 10 of most prompts (d7): boilerplate")


def test_few_examples_are_said(scores: np.ndarray) -> None:
    messages = list(cautions(PROMPTS, table().slice(0, 20), scores[:, :20]))
    assert messages[0].startswith("only 20 training examples")
