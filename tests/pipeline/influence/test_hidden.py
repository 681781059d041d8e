"""The likeness of hidden states."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.influence.hidden import hidden_cosine
from tests.rounding import summation_tolerance

from .conftest import new_model


def test_a_text_is_most_like_itself_whatever_its_batch(examples: TokenDataset) -> None:
    model = new_model().double()
    # means over at most 12 tokens, lengths and products of 16 numbers, all in float32
    tolerance = summation_tolerance(12 + 16 + 16, size=1)
    scores = hidden_cosine(model, examples, examples, budget=40)
    assert np.diag(scores) == pytest.approx(1, abs=tolerance)
    assert (scores.argmax(axis=1) == np.arange(len(examples))).all()
    in_other_batches = hidden_cosine(model, examples, examples, budget=9)
    assert in_other_batches == pytest.approx(scores, abs=tolerance)


def test_only_a_prompts_completion_is_looked_at() -> None:
    tokens = [np.array([3, 5, 7, 9, 11], dtype=np.int32)]
    labels = [np.array([IGNORED] * 4 + [11], dtype=np.int32)]
    model, whole = new_model(), TokenDataset(tokens)
    last = hidden_cosine(model, TokenDataset(tokens, labels), whole, budget=64)
    assert last[0, 0] < 0.999, "the mean over the text is another state than its last"


def test_a_model_whose_layers_have_no_name_of_their_own_gives_the_same(
    examples: TokenDataset,
) -> None:
    """As Llama 4's text decoder: its base model is itself, and it gives logits."""
    named, nameless = new_model(), new_model()
    nameless.base_model_prefix = "language_model"
    assert nameless.base_model is nameless
    expected = hidden_cosine(named, examples, examples, budget=40)
    assert (hidden_cosine(nameless, examples, examples, budget=40) == expected).all()
