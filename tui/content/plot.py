"""Curves drawn into cells: scales, labels, lines and marks. No Textual here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tui.content.canvas import Canvas
from tui.content.ink import Ink, Part, fit
from tui.readers.format import tick
from tui.readers.window import STEPS, Axis, Window

if TYPE_CHECKING:
    from tui.readers.curve import Bucket, Curve

LABEL = 9
"""Cells of the labels of the vertical axis, and of the axis."""
GAP = "×"
_LABEL_EVERY = 7
"""Rows from one label of the vertical axis to the next."""
_SIGN_EVERY = 12
"""Columns from one mark on a line to the next, where several lines must be told apart."""


@dataclass(frozen=True)
class Series:
    """A curve and how it looks. With `dots` every bucket is one mark, else they are joined."""

    name: str
    curve: Curve
    ink: Ink = "accent"
    mark: str = "━"
    dots: bool = False


@dataclass(frozen=True)
class Scale:
    """Maps values to rows of dots; the top is 0."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, buckets: Iterable[Bucket | None], log: bool) -> Scale:
        """Holds every value, or every positive one on a logarithmic scale."""
        values = [value for b in buckets if b for value in (b.low, b.high)]
        values = [value for value in values if value > 0] if log else values
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        return cls(low, high, log and low > 0)

    def row(self, value: float, height: int) -> int:
        """The row of a value, of `height` rows."""
        low, high, value = (self._coordinate(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round((1 - share) * (height - 1))

    def at(self, share: float) -> float:
        """The value at a share of the way up."""
        low, high = self._coordinate(self.low), self._coordinate(self.high)
        value = low + share * (high - low)
        return float(10**value) if self.log else value

    def _coordinate(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value


class Plot:
    """Some series between two steps, drawn into `columns` × `rows` cells."""

    def __init__(
        self,
        series: Sequence[Series],
        window: Window,
        columns: int,
        rows: int,
        log: bool,
        axis: Axis = STEPS,
    ) -> None:
        self._window, self._columns, self._rows, self._axis = window, columns, rows, axis
        self._canvas = Canvas(columns, rows)
        self._signed = sum(not one.dots for one in series) > 1
        drawn = [(one, self._buckets(one)) for one in series]
        self._scale = Scale.of((bucket for _, buckets in drawn for bucket in buckets), log)
        for one, buckets in drawn:
            self._canvas.pen = one.ink
            self._draw(one, buckets)
        self._canvas.pen = "bad"
        for one in series:
            for step in one.curve.gaps:
                self._canvas.mark(self.column(step), 0, GAP)

    def column(self, step: float) -> int:
        """The column that a step falls into."""
        return round(
            (step - self._window.first) / (self._window.width or 1.0) * (self._columns - 1)
        )

    def inspect(self, step: float) -> None:
        """Draws an upright line at a step."""
        self._canvas.pen = "strong"
        for row in range(self._rows):
            self._canvas.mark(self.column(step), row, "┊")

    def lines(self) -> list[list[Part]]:
        """The cells between their axes."""
        axis, window = self._axis, self._window
        name = f"{axis.name} (log)" if axis.log else axis.name
        first, last = axis.text(window.first), f"{name} {axis.text(window.last)}"
        below = first + fit(last, max(0, self._columns - len(first)), right=True)
        rows = zip(self._labels(), range(self._rows), strict=True)
        return [
            *([(label, "dim"), *self._canvas.parts(row)] for label, row in rows),
            [(" " * (LABEL - 1) + "└" + "─" * self._columns, "dim")],
            [(" " * LABEL + below, "dim")],
        ]

    def _buckets(self, one: Series) -> list[Bucket | None]:
        columns = self._columns if one.dots else 2 * self._columns
        return one.curve.buckets(columns, self._window.first, self._window.last)

    def _draw(self, one: Series, buckets: list[Bucket | None]) -> None:
        filled = [(x, bucket) for x, bucket in enumerate(buckets) if bucket]
        if one.dots:
            self._mark(one, filled)
            return
        height = self._canvas.height
        for x, bucket in filled:  # from the lowest to the highest reading: no spike is lost
            rows = self._scale.row(bucket.low, height), self._scale.row(bucket.high, height)
            self._canvas.line(x, rows[0], x, rows[1])
        for (x0, left), (x1, right) in pairwise(filled):
            rows = self._scale.row(left.last, height), self._scale.row(right.first, height)
            self._canvas.line(x0, rows[0], x1, rows[1])
        if self._signed:
            self._mark(one, [(x // 2, b) for x, b in filled[:: 2 * _SIGN_EVERY] + filled[-1:]])

    def _mark(self, one: Series, buckets: list[tuple[int, Bucket]]) -> None:
        for column, bucket in buckets:
            self._canvas.mark(column, self._scale.row(bucket.last, self._rows), one.mark)

    def _labels(self) -> list[str]:
        """The vertical axis: its ends named, and rows between them a few apart."""
        scale, rows = self._scale, self._rows
        steps = max(2, round((rows - 1) / _LABEL_EVERY))
        between = (round(n * (rows - 1) / steps) for n in range(1, steps))
        values = {row: scale.at(1 - row / (rows - 1)) for row in between}
        values |= {0: scale.high, rows - 1: scale.low}
        texts = [tick(values[row]) if row in values else "" for row in range(rows)]
        return [fit(text, LABEL - 2, right=True) + " │" for text in texts]
