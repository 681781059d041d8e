"""Which spans of a text stand in the training data, and which of them are copied.

A span of tokens t_1 … t_n is copied if n ≥ 6, or if chance would hardly put it into the corpus: if
the N tokens of the corpus were drawn one by one with their own frequencies p, the span would be
expected N · ∏ p(t_i) times, and that is below 0.01. So short rare spans count; the common pairs of
any two texts do not. A short span of one word, such as a name that is cut into several tokens, is
no copy. Letters that differ in case alone are compared as case-folded text; such a span is copied
from 6 words on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.spans import Place, TextTrace, TracedSpan
from pipeline.contract.words import pieces, spans
from pipeline.corpus.labelling import encode, extents, overlapping
from pipeline.verbatim.indexing import Searchable, SpanIndex, folded_bytes
from pipeline.verbatim.suffixes import Span

COPIED = 6
"""Tokens, or words of folded text, from which a span is copied however common they are."""
BOUND = 0.01
"""Expected number of occurrences below which a shorter span is copied."""
_PLACES = 10
_MARK = "+"


def trace_text(
    text: str,
    tokenizer: PreTrainedTokenizerBase,
    indexes: Sequence[SpanIndex],
    begins: int = 0,
) -> TextTrace:
    """The spans of a text of any length; the first index is of the training examples, the others
    of added texts. Judged is what stands from the letter `begins` on."""
    [encoded] = encode([text], tokenizer)
    where = extents(encoded, text) if encoded.ids else []
    traced = _Encoded(np.array(encoded.ids, np.int64), where)
    found: list[TracedSpan] = []
    folded: list[TracedSpan] = []
    for number, index in enumerate(indexes):
        found += _in_tokens(traced, text, tokenizer, index, added=number > 0)
        folded += folded_spans(text, index, added=number > 0)
    copied = sorted(one.letters for one in (*found, *folded) if one.copied and not one.added)
    judged = [extent for extent in traced.extents if extent[1] > begins]
    covered = sum(overlapping(judged, copied))
    return TextTrace(text, begins, len(judged), covered, tuple(found), tuple(folded))


def expected_count(span: NDArray[np.int64], counts: NDArray[np.int64], total: int) -> float:
    """N · ∏ p(t_i), see above; `counts`: of each token in the corpus of `total` tokens."""
    logs = np.log(counts[span]) - math.log(total)
    return math.exp(math.log(total) + float(logs.sum()))


@dataclass(frozen=True)
class _Encoded:
    """A text as tokens."""

    ids: NDArray[np.int64]
    extents: Sequence[tuple[int, int]]
    """The letters that each token stands for."""


def _in_tokens(
    text: _Encoded,
    written: str,
    tokenizer: PreTrainedTokenizerBase,
    index: SpanIndex,
    added: bool,
) -> Iterator[TracedSpan]:
    total, query, ends = int(index.counts.sum()), folded_bytes(written), _folded_ends(written)
    for span in index.tokens.index.spans(text.ids):
        part = text.ids[span.start : span.start + span.length]
        letters = text.extents[span.start][0], text.extents[span.start + span.length - 1][1]
        first, last = (ends[letter] for letter in _without_blanks(written, *letters))
        same = index.folded.index.located(query, first, last - first) if last > first else span
        by_letters = same.places > span.places
        where = (index.folded, same) if by_letters else (index.tokens, span)
        shown = str(tokenizer.decode(part.tolist()))
        expected = expected_count(part, index.counts, total)
        is_rare = expected < BOUND and len(pieces(shown)) > 1
        yield TracedSpan(
            text=shown,
            start=span.start,
            end=span.start + span.length,
            letters=letters,
            count=where[1].places,
            expected=expected,
            copied=span.length >= COPIED or is_rare,
            added=added,
            places=_places(where[0], index.ids, where[1], added),
            by_letters=by_letters,
        )


def _without_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    """A stretch without the blanks at its ends."""
    part = text[start:end]
    return end - len(part.lstrip()), start + len(part.rstrip())


def folded_spans(text: str, index: SpanIndex, added: bool = False) -> Iterator[TracedSpan]:
    """Those of the folded letters, cut to whole words of the text."""
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
            letters=(start, letters[last]),
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
    return tuple(Place(f"{mark}{ids[row]}", position, row) for row, position in places)
