"""A suffix array over documents: every longest stretch of a query that stands in one of them.

A suffix array lists the positions of a text in the alphabetical order of what follows them, so that
all places of a phrase are neighbours and bisection finds them (Manber and Myers, 1993). divsufsort
makes it. Symbols are stored with the highest byte first: bytes then compare as the symbols do.

Shape legend: N symbols of the documents, one separator after each document among them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydivsufsort import divsufsort

_FIRST_REACH = 64
"""Symbols that are compared at first; a match as long as that is compared further."""
_LONG = 2**31


@dataclass(frozen=True)
class Span:
    """A stretch of a query that stands in the documents and cannot be made longer there."""

    start: int
    """0-based, in symbols of the query."""
    length: int
    first: int
    """Its places are the suffixes from `first` to before `end`, in the array's order."""
    end: int

    @property
    def places(self) -> int:
        """How often it stands in the documents."""
        return self.end - self.first


def joined(documents: Sequence[NDArray[np.integer]]) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """Symbols [N], big-endian uint16 or uint32: those of the documents, which are not negative,
    plus one, and a 0 after each document, which no query holds."""
    highest = max((int(one.max()) for one in documents if len(one)), default=0)
    kind = np.dtype(">u2" if highest < 2**16 - 1 else ">u4")
    symbols = np.zeros(sum(len(one) + 1 for one in documents), kind)
    at = 0
    for one in documents:
        symbols[at : at + len(one)] = one.astype(np.int64) + 1
        at += len(one) + 1
    return symbols


def suffix_array(symbols: NDArray[np.unsignedinteger]) -> NDArray[np.signedinteger]:
    """Positions [N] in the order of their suffixes; int32, from 2^31 bytes on int64."""
    if not len(symbols):
        return np.zeros(0, np.int32)
    native = symbols.astype(symbols.dtype.newbyteorder("="))
    kind = np.int32 if symbols.nbytes < _LONG else np.int64
    return np.asarray(divsufsort(native)).astype(kind, copy=False)


class SuffixIndex:
    """Searches symbols [N] by their suffix array [N]; both may be mapped from files."""

    def __init__(
        self, symbols: NDArray[np.unsignedinteger], suffixes: NDArray[np.signedinteger]
    ) -> None:
        self._bytes = symbols.view(np.uint8).data
        self._kind, self._suffixes = symbols.dtype, suffixes

    def spans(self, query: NDArray[np.integer]) -> Iterator[Span]:
        """The maximal spans of a query of symbols that are not negative, from its start on."""
        reached = 0
        for start in range(len(query)):
            length = self.longest_at(query, start)
            if length and start + length > reached:
                reached = start + length
                yield self.located(query, start, length)

    def positions(self, span: Span, most: int | None = None) -> NDArray[np.int64]:
        """Where a span stands in the joined documents, in their order; of more than `most` places
        those that lead by what follows: a common word has millions, too many to sort."""
        end = span.end if most is None else min(span.end, span.first + most)
        return np.sort(self._suffixes[span.first : end]).astype(np.int64)

    def longest_at(self, query: NDArray[np.integer], start: int) -> int:
        """The length of the longest prefix of the query from `start` on that is in the documents.

        Its neighbours in the array share it: no other suffix is nearer in the order.
        """
        left, reach = len(query) - start, _FIRST_REACH
        while True:
            wanted = self._pattern(query, start, min(reach, left))
            length = len(wanted) // self._kind.itemsize
            at = bisect_left(self._suffixes, wanted, key=self._prefix(length))
            near = self._suffixes[max(0, at - 1) : at + 1]
            shared = max((self._common(wanted, int(one), length) for one in near), default=0)
            if shared < reach:
                return shared
            reach *= 2

    def _common(self, wanted: bytes, position: int, reach: int) -> int:
        """How many symbols a suffix has in common with the bytes that are wanted."""
        found = np.frombuffer(self._prefix(reach)(position), self._kind)
        same = np.frombuffer(wanted, self._kind)[: len(found)] == found
        return len(found) if same.all() else int(np.argmin(same))

    def located(self, query: NDArray[np.integer], start: int, length: int) -> Span:
        """All places of a stretch of the query that is in the documents."""
        wanted, prefix = self._pattern(query, start, length), self._prefix(length)
        first = bisect_left(self._suffixes, wanted, key=prefix)
        return Span(start, length, first, bisect_right(self._suffixes, wanted, first, key=prefix))

    def _pattern(self, query: NDArray[np.integer], start: int, length: int) -> bytes:
        """Bytes of the query, up to a symbol that is too large to stand in any document."""
        shifted = query[start : start + length].astype(np.int64) + 1
        strange = np.flatnonzero(shifted > np.iinfo(self._kind).max)
        return shifted[: strange[0] if len(strange) else length].astype(self._kind).tobytes()

    def _prefix(self, length: int) -> Callable[[int], bytes]:
        """Gives the first symbols of a suffix."""
        width = self._kind.itemsize

        def prefix(position: int) -> bytes:
            at = int(position) * width
            return bytes(self._bytes[at : at + length * width])

        return prefix
