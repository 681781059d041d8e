"""A metric's readings, held compactly: eight bytes a number, a million readings in 16 MB."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from pipeline.contract.results.learning_curves import superseded_from

_BLOCK = 128
"""Readings whose lowest and highest are kept, so that a chart need not look at each."""


@dataclass(frozen=True)
class Bucket:
    """What one column of a chart shows of the readings that fall into it."""

    first: float
    low: float
    high: float
    last: float
    mean: float


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
        self._lows = array("d")
        self._highs = array("d")
        self._sums = array("d")

    def __len__(self) -> int:
        return len(self.steps)

    def append(self, step: float, value: float) -> None:
        """Adds a reading; one that is NaN or infinite is kept as a gap."""
        self.version += 1
        if (self.steps and self.steps[-1] >= step) or (self.gaps and self.gaps[-1] >= step):
            self._go_back(step)
        if math.isfinite(value):
            self.steps.append(step)
            self.values.append(value)
            self._close_block()
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
        return self.gathered(bisect_left(self.steps, edge) for edge in edges(columns, first, last))

    def gathered(self, ends: Iterable[int]) -> list[Bucket | None]:
        """The readings from each of some positions, which rise, to before the next."""
        return [self._bucket(*ends) if ends[1] > ends[0] else None for ends in pairwise(ends)]

    @property
    def key(self) -> object:
        """The same for as long as it is the same curve."""
        return id(self)

    def nearest(self, step: float) -> tuple[float, float] | None:
        """The reading closest to a step: (step, value), NaN for a gap."""
        near = (_nearest(self.steps, step), _nearest(self.gaps, step))
        steps = [at for at in near if at is not None]
        if not steps:
            return None
        closest = min(steps, key=lambda at: abs(at - step))
        index = bisect_left(self.steps, closest)
        there = index < len(self.steps) and self.steps[index] == closest
        return closest, self.values[index] if there else math.nan

    def _bucket(self, begin: int, end: int) -> Bucket:
        low, high = self._extremes(begin, end)
        mean = self._sum(begin, end) / (end - begin)
        return Bucket(self.values[begin], low, high, self.values[end - 1], mean)

    def _sum(self, begin: int, end: int) -> float:
        first, last = -(-begin // _BLOCK), end // _BLOCK
        if first >= last:
            return sum(self.values[begin:end])
        ends = self.values[begin : first * _BLOCK] + self.values[last * _BLOCK : end]
        return sum(ends) + sum(self._sums[first:last])

    def _extremes(self, begin: int, end: int) -> tuple[float, float]:
        """Lowest and highest of the readings from `begin` to before `end`."""
        first, last = -(-begin // _BLOCK), end // _BLOCK
        if first >= last:
            part = self.values[begin:end]
            return min(part), max(part)
        edges = self.values[begin : first * _BLOCK] + self.values[last * _BLOCK : end]
        lows, highs = self._lows[first:last] + edges, self._highs[first:last] + edges
        return min(lows), max(highs)

    def _go_back(self, step: float) -> None:
        """Drops what was read at a step and after it."""
        kept = superseded_from(self.steps, step)
        for numbers in (self.steps, self.values):
            del numbers[kept:]
        for numbers in (self._lows, self._highs, self._sums):
            del numbers[kept // _BLOCK :]
        del self.gaps[superseded_from(self.gaps, step) :]

    def _close_block(self) -> None:
        if len(self.values) % _BLOCK == 0:
            part = self.values[-_BLOCK:]
            self._lows.append(min(part))
            self._highs.append(max(part))
            self._sums.append(sum(part))


def edges(columns: int, first: float, last: float) -> Iterator[float]:
    """Where `columns` buckets of equal width begin and end; the first is centred on `first`."""
    width = (last - first) / max(columns - 1, 1) or 1.0
    return (first + (column - 0.5) * width for column in range(columns + 1))


def _nearest(steps: array[float], step: float) -> float | None:
    index = bisect_left(steps, step)
    around = steps[max(0, index - 1) : index + 1]
    return min(around, key=lambda at: abs(at - step)) if around else None
