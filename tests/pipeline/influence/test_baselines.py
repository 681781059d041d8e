"""BM25 in every script."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest

from pipeline.influence.baselines import bm25_scores
from tests.pipeline.contract.test_words import SENTENCES


def test_the_text_itself_comes_first_in_every_script() -> None:
    texts = [sentence for sentence, _ in SENTENCES.values()]
    scores = bm25_scores(texts, texts)
    assert np.isfinite(scores).all()
    assert scores.argmax(axis=1).tolist() == list(range(len(texts)))


def test_english_scores_are_the_librarys() -> None:
    texts = ["The river runs to the sea", "A mill by the river", "Nothing of the kind", "x y z"]
    asked = ["Where does the river run?", "the mill's river"]
    tokens = bm25s.tokenize(texts, stopwords=None, return_ids=False, show_progress=False)
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(tokens, show_progress=False)
    asked_tokens = bm25s.tokenize(asked, stopwords=None, return_ids=False, show_progress=False)
    expected = np.stack([index.get_scores(one) for one in asked_tokens])
    np.testing.assert_array_equal(bm25_scores(asked, texts), expected)


@pytest.mark.parametrize("asked", ["🙂", "", "unheard-of"])
def test_a_prompt_without_a_known_word_has_no_scores(asked: str) -> None:
    assert np.isnan(bm25_scores([asked], ["the river", "the sea"])).all()
