"""Groups near-duplicate texts, so that many copies of a text do not count as many sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from xxhash import xxh32_intdigest

from pipeline.contract.words import words

_SHINGLE_WORDS = 5
_PERMUTATIONS = 128
_HIGHEST_INDEX_THRESHOLD = 0.9  # nearer to 1 too few bands are left to find candidates with


class DuplicateIndex:
    """Collects texts in batches, then groups those that are near-duplicates of each other.

    MinHash signatures (Broder 1997) of the sets of word 5-grams, candidates by locality-sensitive
    hashing. Two texts are near-duplicates when the Jaccard similarity that their signatures
    estimate (standard error at most 0.045) reaches `threshold`; groups are the connected
    components. Exact copies always share a group.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._index = MinHashLSH(
            threshold=min(threshold, _HIGHEST_INDEX_THRESHOLD),
            num_perm=_PERMUTATIONS,
            weights=(0.1, 0.9),  # a false candidate costs a comparison, a missed one is lost
        )
        self._of_signature: dict[bytes, int] = {}
        self._signatures: list[NDArray[np.uint32]] = []  # distinct ones, each of shape [128]
        self._of_text: list[int] = []  # each text's signature
        self._links: list[tuple[int, int]] = []  # between signatures

    def add(self, texts: Sequence[str]) -> None:
        """Adds texts; `groups` returns one number for each, in the order of adding."""
        sketches = MinHash.generator(
            map(shingles, texts),
            num_perm=_PERMUTATIONS,
            seed=1,  # fixed, so that groups are the same in every run
            hashfunc=xxh32_intdigest,
            scheme="affine32",
        )
        for sketch in sketches:
            key = sketch.hashvalues.tobytes()
            if key not in self._of_signature:
                self._of_signature[key] = self._insert(sketch)
            self._of_text.append(self._of_signature[key])

    def _insert(self, sketch: MinHash) -> int:
        """Adds a new signature, linked to its near-duplicates; returns its number."""
        number = len(self._signatures)
        if candidates := self._index.query(sketch):
            rows = np.stack([self._signatures[other] for other in candidates])
            similarity = (rows == sketch.hashvalues).mean(axis=1)  # [candidates]
            near = np.asarray(candidates)[similarity >= self._threshold]
            self._links += [(number, int(other)) for other in near]
        self._index.insert(number, sketch, check_duplication=False)
        self._signatures.append(sketch.hashvalues)
        return number

    def groups(self) -> list[int]:
        """Group number of each text; -1 for texts without a near-duplicate."""
        labels = components(len(self._signatures), self._links)
        of_text = [labels[signature] for signature in self._of_text]
        sizes = Counter(of_text)
        numbers: dict[int, int] = {}
        return [
            numbers.setdefault(label, len(numbers)) if sizes[label] > 1 else -1 for label in of_text
        ]


def shingles(text: str) -> list[bytes]:
    """The text's word 5-grams; of a shorter text its words as one, or itself if it has none."""
    tokens = words(text)
    if len(tokens) < _SHINGLE_WORDS:
        return [" ".join(tokens or [text]).encode("utf-8", "replace")]
    return [
        " ".join(gram).encode("utf-8", "replace")
        for gram in zip(*(tokens[n:] for n in range(_SHINGLE_WORDS)), strict=False)
    ]


def components(count: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """Component label of each node 0 … count - 1 of an undirected graph with edges `links`."""
    if not count:
        return []
    first, second = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return [int(label) for label in labels]
