"""The longest run of words that a text has in common with a corpus, word for word.

Positions in the corpus where an answer's first n words begin are carried on to n + 1, all answers
at once, so each pass looks only at the positions that still match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.words import pieces, spans

_BASE = np.uint64(0x9E3779B97F4A7C15)
_STRANGE = 0
"""Number of every word that no answer holds; answers hold none of it."""


@dataclass(frozen=True)
class Overlap:
    """A run of words that stands in both."""

    words: int
    text: str
    document: int | None
    """The first document that holds it; None where nothing is shared."""


def longest_overlaps(answers: Sequence[str], documents: Iterable[str]) -> list[Overlap]:
    """One for each answer; letter case and punctuation count, blanks do not.

    In scripts without blanks each letter counts as a word.
    """
    spans_of = [spans(answer) for answer in answers]
    split = [pieces(answer) for answer in answers]
    numbers = {word: n for n, word in enumerate(sorted({w for a in split for w in a}), start=1)}
    corpus, owner = _numbered(documents, numbers)
    tokens = [np.array([numbers[word] for word in words], dtype=np.uint64) for words in split]
    overlaps = [Overlap(0, "", None) for _ in answers]
    positions = np.flatnonzero(corpus != _STRANGE)
    hashes = np.zeros(len(positions), dtype=np.uint64)
    own = [np.zeros(len(row), dtype=np.uint64) for row in tokens]
    length = 0
    while len(positions):
        inside = positions + length < len(corpus)
        positions, hashes = positions[inside], hashes[inside]
        hashes = hashes * _BASE + corpus[positions + length]
        own = [
            before[: max(0, len(row) - length)] * _BASE + row[length:]
            for before, row in zip(own, tokens, strict=True)
        ]
        length += 1
        wanted = np.concatenate([np.zeros(0, dtype=np.uint64), *own])
        still = np.isin(hashes, wanted)
        positions, hashes = positions[still], hashes[still]
        for index, grams in enumerate(own):
            shared = np.flatnonzero(np.isin(grams, hashes))
            if len(shared):
                start = int(shared[0])
                position = positions[np.flatnonzero(hashes == grams[start])[0]]
                first, last = spans_of[index][start], spans_of[index][start + length - 1]
                text = " ".join(answers[index][first[0] : last[1]].split())
                overlaps[index] = Overlap(length, text, int(owner[position]))
    return overlaps


def _numbered(
    documents: Iterable[str], numbers: dict[str, int]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """The corpus as word numbers, a strange word after each document, and each word's document."""
    words: list[NDArray[np.uint64]] = [np.zeros(0, dtype=np.uint64)]
    sizes: list[int] = []
    for document in documents:
        row = [numbers.get(word, _STRANGE) for word in pieces(document)]
        words.append(np.array([*row, _STRANGE], dtype=np.uint64))
        sizes.append(len(row) + 1)
    return np.concatenate(words), np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
