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

_SIGN = np.uint32(1 << 31)
_MISSING = np.iinfo(np.uint32).max
"""The key of what has no score. No number's: that of -∞ is lower."""
_HALF_BITS = 16
_BLOCK = 1 << 15
"""Scores that are prepared at once: fresh memory for each step of a million takes longer than the
steps."""
_BLOCKS = 4
"""Parts of all scores for each one of the first that are wanted: with fewer more candidates are
left, with more more maxima are compared."""


def rank_of(scores: Scores, index: int) -> int | None:
    """An example's rank among all scores [N], 1 = highest; None where it has no score."""
    score = scores[index]
    if np.isnan(score):
        return None
    # Were equal ones to share the better rank, the example on line 7 could have rank 3, and no
    # list could be opened at "rank 5". The corpus's order is the one that every list keeps.
    before = np.count_nonzero(scores > score) + np.count_nonzero(scores[:index] == score)
    return int(before) + 1


def highest_first(scores: Scores, count: int | None = None) -> Order:
    """Indices [≤ N] of all scores [N] that are numbers, in the order of their ranks; or of the
    first `count` of them, for which most scores are only compared with one."""
    chosen = None if count is None else _candidates(scores, count)
    keys = _keys(scores if chosen is None else scores[chosen])
    order = lowest_first(keys)[: len(keys) - np.count_nonzero(keys == _MISSING)]
    return (order if chosen is None else chosen[order])[:count]


def lowest_first(keys: Keys) -> Order:
    """Indices of all keys, lowest first, equal ones in their order."""
    # By their lower halves, then by the upper ones: NumPy sorts numbers of 16 bits by counting
    # them, in half of the time that any sort by comparison takes.
    by_lower = np.argsort(keys.astype(np.uint16), kind="stable").astype(np.int32)
    upper = (keys >> _HALF_BITS).astype(np.uint16)[by_lower]
    if not len(upper) or upper.min() == upper.max():
        return by_lower
    return by_lower[np.argsort(upper, kind="stable")]


def _candidates(scores: Scores, count: int) -> Order | None:
    """Indices of some scores, the `count` first ones among them and equal ones in their order;
    None: any may be one of these.

    The scores are cut into parts. As many parts as are wanted have a score that is not lower than
    the last one's of their highest scores, so that nothing below it can be among the first.
    """
    size = len(scores) // (_BLOCKS * max(1, count))
    if size < 2:
        return None
    highest = np.fmax.reduceat(scores, np.arange(0, len(scores), size))
    highest = highest[~np.isnan(highest)]
    if len(highest) < count:
        return None
    least = np.partition(highest, -max(1, count))[-max(1, count)]
    above, at = np.flatnonzero(scores > least), np.flatnonzero(scores == least)[:count]
    return np.concatenate([above, at]).astype(np.int32)


def _keys(scores: Scores) -> Keys:
    """Numbers in the order of the floats, highest first."""
    keys = np.empty(len(scores), np.uint32)
    for begin in range(0, len(scores), _BLOCK):
        some = scores[begin : begin + _BLOCK]
        part = np.subtract(0, some, out=keys.view(np.float32)[begin : begin + _BLOCK])  # no -0.0
        bits = part.view(np.uint32)
        bits ^= (bits.view(np.int32) >> 31).view(np.uint32) | _SIGN  # all bits, or the sign alone
        bits[np.isnan(some)] = _MISSING
    return keys
