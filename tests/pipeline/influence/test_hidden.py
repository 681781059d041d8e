"""The likeness of hidden states."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.influence.hidden import hidden_cosine

from .conftest import new_model


def test_a_text_is_most_like_itself_whatever_its_batch(examples: TokenDataset) -> None:
    model = new_model()
    scores = hidden_cosine(model, examples, examples, budget=40)
    assert np.diag(scores) == pytest.approx(1, abs=1e-5)
    assert (scores.argmax(axis=1) == np.arange(len(examples))).all()
    assert hidden_cosine(model, examples, examples, budget=9) == pytest.approx(scores, abs=1e-5)


def test_only_a_prompts_completion_is_looked_at() -> None:
    tokens = [np.array([3, 5, 7, 9, 11], dtype=np.int32)]
    labels = [np.array([IGNORED] * 4 + [11], dtype=np.int32)]
    model, whole = new_model(), TokenDataset(tokens)
    last = hidden_cosine(model, TokenDataset(tokens, labels), whole, budget=64)
    assert last[0, 0] < 0.999, "the mean over the text is another state than its last"
