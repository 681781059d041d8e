"""A metric's readings by what else counts a training: its tokens, or its time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.contract.results.learning_curves import TOKENS
from tui.readers.charts import Metric
from tui.readers.curve import Bucket, Curve, edges
from tui.readers.window import STEPS, TIME, Axis

if TYPE_CHECKING:
    from tui.readers.run_reader import RunSnapshot


class Measured:
    """A curve whose steps are told by another count. Nothing is copied: a million readings cost as
    little as ten."""

    def __init__(self, curve: Curve, count: Curve, begin: float = 0.0) -> None:
        """`count`: the count at each step, which rises; `begin`: where it begins."""
        self._curve, self._count, self._begin = curve, count, begin

    @property
    def key(self) -> object:
        """The same for as long as it is the same curve by the same count."""
        return id(self._curve), id(self._count)

    @property
    def version(self) -> object:
        """Changes with every reading."""
        return self._curve.version, self._count.version

    @property
    def last(self) -> float | None:
        """The newest finite reading."""
        return self._curve.last

    @property
    def gaps(self) -> Sequence[float]:
        """Counts at which a reading was not a finite number."""
        return [self._at(step) for step in self._curve.gaps]

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last count, gaps included."""
        span = self._curve.span
        ends = [self._at(step) for step in span] if span else []
        return (min(ends), max(ends)) if ends else None

    def buckets(self, columns: int, first: float, last: float) -> list[Bucket | None]:
        """The readings between two counts, gathered into `columns` buckets of equal width."""
        steps = (self._step(edge) for edge in edges(columns, first, last))
        return self._curve.gathered(bisect_left(self._curve.steps, step) for step in steps)

    def nearest(self, count: float) -> tuple[float, float] | None:
        """The reading closest to a count: (count, value), NaN for a gap."""
        before, after = self._step(count), self._step(count)
        index = bisect_left(self._count.steps, after)
        if index:
            before = self._count.steps[index - 1]
        found = [near for step in (before, after) if (near := self._curve.nearest(step))]
        told = [(self._at(step), value) for step, value in found]
        return min(told, key=lambda near: abs(near[0] - count), default=None)

    def _at(self, step: float) -> float:
        """The count at a step, or at the last one before it that tells it."""
        index = bisect_right(self._count.steps, step) - 1
        return self._count.values[max(0, index)] - self._begin

    def _step(self, count: float) -> float:
        """The first step with at least so much; one after the last where none has."""
        index = bisect_left(self._count.values, count + self._begin)
        return self._count.steps[index] if index < len(self._count) else self._count.steps[-1] + 1


def measured(run: RunSnapshot, metric: Metric, axis: Axis) -> Curve | Measured | None:
    """A metric along an axis; None where the run has no readings of it, or lacks the count."""
    curve, stage = run.metrics.get(metric), metric[0]
    if curve is None or axis is STEPS:
        return curve
    count = run.clocks.get(stage) if axis is TIME else run.metrics.get((stage, TOKENS))
    if count is None or not len(count):
        return None
    return Measured(curve, count, count.values[0] if axis is TIME else 0.0)
