"""Near-duplicate groups, so that one text in many copies does not pass for many witnesses."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_WORD = re.compile(r"\w+")
_SHINGLE_WORDS = 5
_PERMUTATIONS = 64
_BATCH = 512

Signature = NDArray[np.uint64]


def signatures(texts: Sequence[str]) -> list[MinHash]:
    """MinHash signatures (Broder 1997) of the texts' sets of word 5-grams."""
    shingles = [_shingles(text) for text in texts]
    return list(MinHash.generator(shingles, num_perm=_PERMUTATIONS, seed=1))


def _shingles(text: str) -> list[bytes]:
    words = _WORD.findall(text.lower())
    count = max(1, len(words) - _SHINGLE_WORDS + 1)
    return [" ".join(words[n : n + _SHINGLE_WORDS]).encode() for n in range(count)]


def duplicate_groups(hashes: Iterable[MinHash], threshold: float) -> list[int]:
    """A group number for each text, -1 for those without a near-duplicate.

    Two texts are near-duplicates when the Jaccard similarity that their signatures estimate
    reaches `threshold`; groups are the connected components.
    """
    index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
    kept: list[MinHash] = []
    first: list[int] = []
    second: list[int] = []
    for number, signature in enumerate(hashes):
        for other in index.query(signature):
            if signature.jaccard(kept[other]) >= threshold:
                first.append(number)
                second.append(other)
        index.insert(number, signature)
        kept.append(signature)
    return _components(len(kept), first, second)


def _components(count: int, first: list[int], second: list[int]) -> list[int]:
    if count == 0:
        return []
    links = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    _, labels = connected_components(links, directed=False)
    members: dict[int, list[int]] = defaultdict(list)
    for number, label in enumerate(labels):
        members[int(label)].append(number)
    groups = [-1] * count
    several = (together for together in members.values() if len(together) > 1)
    for group, together in enumerate(several):
        for number in together:
            groups[number] = group
    return groups
