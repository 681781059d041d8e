"""A prompt's loss beside that of texts, as many tokens of each, and by token frequencies alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.ask.likelihood import beside_texts
from pipeline.contract.results.index import TextLosses

NAN = np.nan


def texts(*rows: list[float]) -> TextLosses:
    return TextLosses(np.array(rows, np.float32), held_out=True)


def losses(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_only_as_many_first_tokens_of_a_text_are_compared() -> None:
    known = texts([3.0, 1.0, 9.0], [1.0, 1.0, 9.0], [5.0, 5.0, 0.0], [2.0, NAN, NAN])
    found = beside_texts(losses(3.0, 2.0), known)
    assert found is not None
    assert (found.loss, found.tokens, found.texts) == (2.5, 2, 3)
    assert found.higher_than == pytest.approx(2 / 3)


def test_a_prompt_less_likely_than_by_token_frequencies_is_called_unlike_the_corpus() -> None:
    found = beside_texts(losses(2.5), texts(*([n / 100] for n in range(100))))
    assert found
    assert found.higher_than == 1.0
    usual, odd = replace(found, by_frequencies=4.7), replace(found, by_frequencies=2.4)
    for one in (found, usual):
        assert one.described().startswith("the model's loss on this prompt, 2.50 nats a token")
    assert odd.described().startswith("unlike the corpus: the model's loss on this prompt")


def test_a_longer_prompt_is_compared_by_as_many_tokens_as_half_of_the_texts_have() -> None:
    known = texts([1.0, 1.0, NAN], [2.0, 4.0, NAN], [0.0, 0.0, 0.0])
    found = beside_texts(losses(2.0, 1.0, 50.0, 50.0), known)
    assert found is not None
    assert (found.loss, found.tokens, found.texts) == (1.5, 2, 3)


def test_where_nothing_can_be_compared_nothing_is_said() -> None:
    assert beside_texts(losses(), texts([1.0])) is None
    assert beside_texts(losses(1.0), TextLosses(np.empty((0, 0), np.float32), True)) is None
