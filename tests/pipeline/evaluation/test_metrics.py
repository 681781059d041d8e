"""Likeness of texts in every script, and what is missing where a measure does not apply."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer

from pipeline.contract.results.evaluation import METRICS
from pipeline.evaluation.metrics import TextMetrics
from tests.pipeline.contract.test_words import SENTENCES

WORDY = {"rouge1", "rouge2", "rougeL", "f1"}


@pytest.fixture(scope="module")
def metrics() -> TextMetrics:
    return TextMetrics()


@pytest.mark.parametrize("language", SENTENCES)
def test_equal_answers_are_equal_and_others_are_not(metrics: TextMetrics, language: str) -> None:
    sentence = SENTENCES[language][0]
    same = metrics.score(sentence, sentence)
    assert set(same) == set(METRICS)
    assert {name: same[name] for name in WORDY} == dict.fromkeys(WORDY, pytest.approx(1.0))
    other = metrics.score("something else", sentence)
    assert {name: other[name] for name in WORDY} == dict.fromkeys(WORDY, 0.0)
    half = metrics.score(sentence[: len(sentence) // 2], sentence)
    assert 0 < half["f1"] < 1


def test_english_figures_are_the_librarys(metrics: TextMetrics) -> None:
    pairs = [
        ("The river runs past the mill.", "A river ran past an old mill, didn't it?"),
        ("so", "The well-known 3.5 km"),
        ("", "nothing"),
    ]
    library = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for text, expected in pairs:
        found = metrics.score(text, expected)
        for name, score in library.score(expected, text).items():
            assert found[name] == score.fmeasure


@pytest.mark.parametrize("expected", ["🙂", "?!", "—"])
def test_measures_of_words_are_missing_where_nothing_has_words(
    metrics: TextMetrics, expected: str
) -> None:
    found = metrics.score("words", expected)
    assert set(found) == set(METRICS) - WORDY
    assert found["exact"] == 0
    assert metrics.score(expected, expected)["exact"] == 1
