"""In which order examples are ranked, and which rank one of them has.

One rule: the highest score comes first, equal scores in the order of the corpus, and an example
without a score (NaN) has no rank. So every rank is taken once, and an example's rank is the number
of its line in the list. NumPy is imported with this module.

Shape legend: N training examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Keys = NDArray[np.uint32]
Order = NDArray[np.int32]

_HALF = np.uint64(32)
_SIGN = np.uint32(1 << 31)
_MISSING = np.iinfo(np.uint32).max
"""The key of what has no score. No number's: that of -∞ is lower."""
_BLOCK = 1 << 15
"""Values that are prepared at once: fresh memory for each step of a million takes longer than the
steps."""


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
    numbers = _sorted(scores, _key)
    known = np.searchsorted(numbers, np.uint64(_MISSING) << _HALF)
    return numbers[:known].astype(np.int32)  # the lower half: the index


def lowest_first(keys: Keys) -> Order:
    """Indices of all keys, lowest first, equal ones in their order."""
    return _sorted(keys, np.asarray).astype(np.int32)


def _sorted(values: NDArray[Any], key: Callable[[NDArray[Any]], Keys]) -> NDArray[np.uint64]:
    """The keys of all values [N], each with its value's index behind it, as one number of 64 bits.

    No two are equal, and NumPy sorts numbers several times as fast as it finds their order.
    """
    numbers = np.empty(len(values), np.uint64)
    for begin in range(0, len(values), _BLOCK):
        part = numbers[begin : begin + _BLOCK]
        part[:] = key(values[begin : begin + _BLOCK])
        part <<= _HALF
        part |= np.arange(begin, begin + len(part), dtype=np.uint64)
    numbers.sort()
    return numbers


def _key(scores: Scores) -> Keys:
    """Numbers in the order of the floats, highest first."""
    keys = (0 - np.ascontiguousarray(scores, np.float32)).view(np.uint32)  # -0.0 becomes 0.0
    negative = (keys.view(np.int32) >> 31).view(np.uint32)  # all bits, or none
    keys ^= negative | _SIGN
    keys[np.isnan(scores)] = _MISSING
    return keys
