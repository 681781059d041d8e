"""In which order examples are ranked, and which rank one of them has.

One rule: the highest score comes first, equal scores in the order of the corpus, and an example
without a score (NaN) has no rank. So every rank is taken once, and an example's rank is the number
of its line in the list. NumPy is imported with this module.

Shape legend: N training examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Keys = NDArray[np.uint32]
Order = NDArray[np.int32]

_HALF = np.uint64(32)
_INDEX = np.uint64((1 << 32) - 1)
_SIGN = np.uint32(1 << 31)


def rank_of(scores: Scores, index: int) -> int | None:
    """An example's rank among all scores [N], 1 = highest; None where it has no score."""
    score = scores[index]
    if np.isnan(score):
        return None
    # Were equal ones to share the better rank, the example on line 7 could have rank 3, and no
    # list could be opened at "rank 5". The corpus's order is the one that every list keeps.
    before = np.count_nonzero(scores > score) + np.count_nonzero(scores[:index] == score)
    return int(before) + 1


def highest_first(scores: Scores) -> Order:
    """Indices [≤ N] of all scores that are numbers, in the order of their ranks."""
    missing = np.isnan(scores)
    keys = (0 - np.ascontiguousarray(scores, np.float32)).view(np.uint32)  # -0.0 becomes 0.0
    negative = (keys.view(np.int32) >> 31).view(np.uint32)  # all bits, or none
    keys ^= negative | _SIGN  # numbers in the order of the floats
    keys[missing] = np.iinfo(np.uint32).max
    return lowest_first(keys)[: len(scores) - np.count_nonzero(missing)]


def lowest_first(keys: Keys) -> Order:
    """Indices of all keys, lowest first, equal ones in their order.

    Each key is sorted with its index behind it, as one number of 64 bits: no two are equal, and
    NumPy sorts numbers several times as fast as it finds their order.
    """
    numbers = keys.astype(np.uint64)
    numbers <<= _HALF
    numbers |= np.arange(len(keys), dtype=np.uint64)
    numbers.sort()
    numbers &= _INDEX
    return numbers.astype(np.int32)
