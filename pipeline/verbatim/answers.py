"""What of models' answers stands in the training data: the longest run of words, and all copies.

Shape legend: N symbols of the joined examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.evaluation import CopiedWords
from pipeline.contract.results.spans import TextTrace
from pipeline.contract.words import spans
from pipeline.verbatim.indexing import SpanIndex, folded_bytes
from pipeline.verbatim.tracing import folded_spans, trace_text

_LOOKED_AT = 1000
"""Places of a run of words of which it is seen whether they begin and end with a word."""
_NEAR = 8
"""Bytes before and after a place that tell it."""


def trace_answer(
    text: str, begins: int, tokenizer: PreTrainedTokenizerBase, index: SpanIndex
) -> TextTrace:
    """The copies in an answer, which begins at a letter of the text that it is traced in."""
    return trace_text(text, tokenizer, [index], begins).copies_alone()


def longest_overlap(answer: str, index: SpanIndex) -> CopiedWords:
    """The longest run of an answer's words that stands in an example. Punctuation and blanks count,
    letter case does not; in scripts without blanks each letter counts as a word."""
    words = spans(answer)
    best = CopiedWords(0, len(words), "", None)
    for span in folded_spans(answer, index):
        inside = [word for word in words if span.start <= word[0] and word[1] <= span.end]
        for first, last in product((0, 1), (0, 1)):  # at its ends, it may stand in longer words
            kept = inside[first : len(inside) - last]
            if len(kept) <= best.words:
                continue
            run = answer[kept[0][0] : kept[-1][1]]
            place = next(_whole_places(run, index), None)
            if place is not None:
                text = " ".join(run.split())
                example = index.ids[index.folded.place(place)[0]]
                best = CopiedWords(len(kept), len(words), text, example)
    return best


def _whole_places(run: str, index: SpanIndex) -> Iterator[int]:
    """Where a run of words begins in the joined examples and is not a part of longer words."""
    query = folded_bytes(run)
    found = index.folded.index.located(query, 0, len(query))
    for place in index.folded.index.positions(found, _LOOKED_AT).tolist():
        before, after = _around(index.folded.symbols, place, place + len(query))
        text = before + run.casefold() + after
        words = spans(text)
        is_begun = any(start == len(before) for start, _ in words)
        if is_begun and any(end == len(text) - len(after) for _, end in words):
            yield place


def _around(symbols: NDArray[np.unsignedinteger], start: int, end: int) -> tuple[str, str]:
    """A few letters of the same example before and after a place in symbols [N]."""
    before, after = symbols[max(0, start - _NEAR) : start], symbols[end : end + _NEAR]
    ends_before, ends_after = np.flatnonzero(before == 0), np.flatnonzero(after == 0)
    before = before[ends_before[-1] + 1 :] if len(ends_before) else before
    after = after[: ends_after[0]] if len(ends_after) else after
    return _decoded(before), _decoded(after)


def _decoded(symbols: NDArray[np.unsignedinteger]) -> str:
    """Their letters, without those that are cut."""
    return (symbols - 1).astype(np.uint8).tobytes().decode(errors="ignore")
