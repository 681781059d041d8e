"""A metric's readings, held compactly: eight bytes a number, a million readings in 16 MB."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True)
class Bucket:
    """What one column of a chart shows of the readings that fall into it."""

    first: float
    low: float
    high: float
    last: float


class Curve:
    """Readings of one metric by step. Steps rise; a step that comes again takes the old one's place
    and drops what lay after it, as when training resumes from a checkpoint."""

    def __init__(self) -> None:
        self.steps = array("d")
        self.values = array("d")
        self.gaps = array("d")
        """Steps whose reading was not a finite number."""
        self.version = 0
        """Changes with every reading."""

    def __len__(self) -> int:
        return len(self.steps)

    def append(self, step: float, value: float) -> None:
        """Adds a reading; one that is NaN or infinite is kept as a gap."""
        self.version += 1
        _cut(self.gaps, step)
        kept = _cut(self.steps, step)
        del self.values[kept:]
        if math.isfinite(value):
            self.steps.append(step)
            self.values.append(value)
        else:
            self.gaps.append(step)

    @property
    def last(self) -> float | None:
        """The newest finite reading."""
        return self.values[-1] if self.values else None

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last step, gaps included."""
        ends = [end for steps in (self.steps, self.gaps) if steps for end in (steps[0], steps[-1])]
        return (min(ends), max(ends)) if ends else None

    def buckets(self, columns: int, first: float, last: float) -> list[Bucket | None]:
        """The readings between two steps, gathered into `columns` buckets of equal width."""
        width = (last - first) / max(columns - 1, 1) or 1.0
        steps, found = self.steps, []
        begin = bisect_left(steps, first - width / 2)
        for column in range(columns):
            end = bisect_left(steps, first + (column + 0.5) * width, begin)
            found.append(self._bucket(begin, end) if end > begin else None)
            begin = end
        return found

    def _bucket(self, begin: int, end: int) -> Bucket:
        part = self.values[begin:end]
        return Bucket(part[0], min(part), max(part), part[-1])


def _cut(steps: array[float], step: float) -> int:
    """Drops the steps from `step` on; gives how many are left."""
    if steps and steps[-1] >= step:
        del steps[bisect_left(steps, step) :]
    return len(steps)
