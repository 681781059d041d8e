"""How far a stage is: one span from 0 to 1, made of its named parts one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate


class Span:
    """Goes on only, whatever starts again: a part that another attempt has done, or a batch that
    did not fit into memory."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        """`weights`: how much work each part is, in the order of the parts; without any there is
        one part."""
        weights = weights or {}
        whole = sum(weights.values()) or 1.0
        begins = accumulate(weights.values(), initial=0.0)
        self._places = {
            part: (begin / whole, weight / whole)
            for (part, weight), begin in zip(weights.items(), begins, strict=False)
        }
        self.share = 0.0
        """Of the whole span."""
        self._part = ""
        self._begun: float | None = None
        self._worked = 0.0
        """Share that was gained by work of this process; what it found done took no time."""

    def reach(self, part: str, done: float, total: float, now: float) -> None:
        """`done` of `total` units of a part are there, at `now` seconds; 0 = not known how many."""
        if not total:
            return
        begin, width = self._places.get(part, (self.share, 0.0)) if self._places else (0.0, 1.0)
        gained = max(0.0, begin + width * min(1.0, done / total) - self.share)
        if self._begun is None:
            self._begun = now
        elif part == self._part:
            self._worked += gained
        self._part = part
        self.share = min(1.0, self.share + gained)

    def left(self, now: float) -> float | None:
        """Seconds to go at the pace until now; None while there is none."""
        if self._begun is None or not self._worked:
            return None
        return (now - self._begun) / self._worked * (1.0 - self.share)
