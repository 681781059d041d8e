"""Tokenizes a long text window by window: the libraries take 150 times its size in memory.

Windows overlap. Two of them are joined in the middle of what they share, where they have given the
same tokens for a while: where a window begins and ends no longer matters there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from pipeline.corpus.labelling import Span, encode

LONG = 1 << 20
"""Letters from which a text is tokenized in windows."""
_OVERLAP = 1 << 12
_AGREED = 8
"""Tokens before and after a joint that must be the same in both windows."""


@dataclass(frozen=True)
class LongEncoding:
    """Tokens of a long text."""

    ids: list[int]
    offsets: Sequence[Span]
    """Where each token begins, and where the next one does."""


class _Offsets(Sequence[Span]):
    """Spans that are made when they are asked for."""

    def __init__(self, starts: array[int], end: int) -> None:
        self._starts, self._end = starts, end

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Span:  # type: ignore[override]
        following = index + 1
        end = self._starts[following] if following < len(self) else self._end
        return self._starts[index], end


@dataclass(frozen=True)
class _Window:
    first: int
    """The letter that it begins with."""
    ids: list[int]
    starts: list[int]
    """Where each token begins in the whole text."""


def encode_long(
    text: str, tokenizer: PreTrainedTokenizerBase, size: int = LONG, overlap: int = _OVERLAP
) -> LongEncoding | Encoding:
    """The tokens that the whole text has; windows that never agree are given up for that whole."""
    firsts = range(0, max(1, len(text) - overlap), size - overlap)
    ids: list[int] = []
    starts = array("q")
    before = _window(text, firsts[0], size, tokenizer)
    taken = 0  # tokens of the window that are before the last joint
    for _, first in pairwise(firsts):
        after = _window(text, first, size, tokenizer)
        joint = _joint(before, after, first + overlap // 2)
        if joint is None:
            return encode([text], tokenizer)[0]
        ids += before.ids[taken : joint[0]]
        starts.extend(before.starts[taken : joint[0]])
        before, taken = after, joint[1]
    ids += before.ids[taken:]
    starts.extend(before.starts[taken:])
    return LongEncoding(ids, _Offsets(starts, len(text)))


def _window(text: str, first: int, size: int, tokenizer: PreTrainedTokenizerBase) -> _Window:
    [found] = encode([text[first : first + size]], tokenizer)
    return _Window(first, found.ids, [first + start for start, _ in found.offsets])


def _joint(before: _Window, after: _Window, middle: int) -> tuple[int, int] | None:
    """The token of each window that both may be cut before, at `middle` or soon after."""
    for mine in range(bisect_left(after.starts, middle), len(after.ids) - _AGREED):
        position = after.starts[mine]
        theirs = bisect_left(before.starts, position)
        if theirs + _AGREED > len(before.ids):
            return None
        if mine < _AGREED or theirs < _AGREED or after.starts[mine - 1] == position:
            continue
        ours, others = (
            (w.ids[n - _AGREED : n + _AGREED], w.starts[n - _AGREED : n + _AGREED])
            for w, n in ((after, mine), (before, theirs))
        )
        if ours == others:
            return theirs, mine
    return None
