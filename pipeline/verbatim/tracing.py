"""Which spans of a text stand in the training data, and which of them are copied.

A span of tokens t_1 … t_n is copied if n ≥ 6, or if chance would hardly put it into the corpus: if
the N tokens of the corpus were drawn one by one with their own frequencies p, the span would be
expected N · ∏ p(t_i) times, and that is below 0.01. So short rare spans count; the common pairs of
any two texts do not. A span of one token is a word of the vocabulary, and no copy. Letters that
differ in case alone are compared as case-folded text; such a span is copied from 6 words on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.spans import Place, TextTrace, TracedSpan
from pipeline.contract.words import pieces, spans
from pipeline.verbatim.indexing import Searchable, SpanIndex, folded_bytes
from pipeline.verbatim.suffixes import Span

COPIED = 6
"""Tokens, or words of folded text, from which a span is copied however common they are."""
BOUND = 0.01
"""Expected number of occurrences below which a shorter span is copied."""
_PLACES = 10
_MARK = "+"


def trace_text(
    text: str, tokenizer: PreTrainedTokenizerBase, indexes: Sequence[SpanIndex]
) -> TextTrace:
    """The spans of a text of any length; the first index is of the training examples, the others
    of added texts."""
    ids = np.array(tokenizer.encode(text, add_special_tokens=False, verbose=False), np.int64)
    found: list[TracedSpan] = []
    folded: list[TracedSpan] = []
    for number, index in enumerate(indexes):
        found += _in_tokens(ids, tokenizer, index, added=number > 0)
        folded += _in_letters(text, index, added=number > 0)
    covered = np.zeros(len(ids), bool)
    for span in found:
        if span.copied and not span.added:
            covered[span.start : span.end] = True
    return TextTrace(len(ids), int(covered.sum()), tuple(found), tuple(folded))


def expected_count(span: NDArray[np.int64], counts: NDArray[np.int64], total: int) -> float:
    """N · ∏ p(t_i), see above; `counts`: of each token in the corpus of `total` tokens."""
    logs = np.log(counts[span]) - math.log(total)
    return math.exp(math.log(total) + float(logs.sum()))


def _in_tokens(
    ids: NDArray[np.int64], tokenizer: PreTrainedTokenizerBase, index: SpanIndex, added: bool
) -> Iterator[TracedSpan]:
    total = int(index.counts.sum())
    for span in index.tokens.index.spans(ids):
        part = ids[span.start : span.start + span.length]
        expected = expected_count(part, index.counts, total)
        yield TracedSpan(
            text=str(tokenizer.decode(part.tolist())),
            start=span.start,
            end=span.start + span.length,
            count=span.places,
            expected=expected,
            copied=span.length >= COPIED or (span.length > 1 and expected < BOUND),
            added=added,
            places=_places(index.tokens, index.ids, span, added),
        )


def _in_letters(text: str, index: SpanIndex, added: bool) -> Iterator[TracedSpan]:
    """Spans cut to whole words of the text."""
    reached = 0
    words = spans(text)
    ends = _folded_ends(text)
    starts_at = {ends[start]: start for start, _ in words}
    ends_at = np.array([ends[end] for _, end in words], np.int64)
    letters = [end for _, end in words]
    query = folded_bytes(text)
    for at, start in starts_at.items():
        longest = index.folded.index.longest_at(query, at)
        last = int(np.searchsorted(ends_at, at + longest, "right")) - 1
        if last < 0 or ends_at[last] <= max(at, reached):
            continue
        reached = int(ends_at[last])
        span = index.folded.index.located(query, at, reached - at)
        shown = text[start : letters[last]]
        yield TracedSpan(
            text=shown,
            start=start,
            end=letters[last],
            count=span.places,
            expected=None,
            copied=len(pieces(shown)) >= COPIED,
            added=added,
            places=_places(index.folded, index.ids, span, added),
        )


def _folded_ends(text: str) -> list[int]:
    """Where each letter begins in the folded bytes, and where the last ends. Folding looks at one
    letter at a time."""
    sizes: Iterable[int] = (len(folded_bytes(letter)) for letter in text)
    return list(accumulate(sizes, initial=0))


def _places(kind: Searchable, ids: Sequence[str], span: Span, added: bool) -> tuple[Place, ...]:
    mark = _MARK if added else ""
    places = map(kind.place, kind.index.positions(span, _PLACES).tolist())
    return tuple(Place(f"{mark}{ids[example]}", position) for example, position in places)
