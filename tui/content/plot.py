"""Curves drawn into cells: scales, labels, lines and marks. No Textual here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING

from tui.content.canvas import Canvas
from tui.content.ink import Ink, Part, fit
from tui.content.smoothing import smoothed
from tui.readers.format import tick
from tui.readers.ticks import log_ticks, round_ticks, side_by_side
from tui.readers.window import STEPS, Axis, Window

if TYPE_CHECKING:
    from tui.readers.curve import Bucket, Curve
    from tui.readers.measured import Measured

LABEL = 9
"""Cells of the labels of the vertical axis, and of the axis."""
GAP = "×"
SEVERAL = "≡"
"""Stands where curves lie in one and the same cell, with no other to tell them apart."""
_ROWS_A_TICK, _COLUMNS_A_TICK = 3, 12
"""Room of a label of the vertical and of the horizontal axis."""
_SIGN_EVERY = 12
"""Columns from one mark on a line to the next, where several lines must be told apart."""


@dataclass(frozen=True)
class Series:
    """A curve and how it looks. With `dots` every bucket is one mark, else they are joined."""

    name: str
    curve: Curve | Measured
    ink: Ink = "accent"
    mark: str = "━"
    dots: bool = False


Line = tuple[Series, Sequence[tuple[int, "Bucket"]]]
"""A curve that is joined, and its buckets that are not empty, by their columns of dots."""


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

    def ticks(self, most: int) -> list[float]:
        """Round values on it, at most `most`."""
        ticks = log_ticks if self.log else round_ticks
        return ticks(self.low, self.high, most)

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
        smoothing: float = 0.0,
    ) -> None:
        """`smoothing`: the share of the width that lines are smoothed over; 0 = not at all."""
        self.coincide = False
        """Whether some curve lies behind others all along."""
        self._smoothing = smoothing
        self._window, self._columns, self._rows, self._axis = window, columns, rows, axis
        self._canvas = Canvas(columns, rows)
        drawn = [(one, self._buckets(one)) for one in series]
        self._scale = Scale.of((bucket for _, buckets in drawn for bucket in buckets), log)
        filled = [(one, [(x, b) for x, b in enumerate(buckets) if b]) for one, buckets in drawn]
        for one, readings in filled:
            self._canvas.pen = one.ink
            self._draw(one, readings)
        if len(lines := [line for line in filled if not line[0].dots]) > 1:
            self._sign(lines)
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
        most = max(2, self._columns // _COLUMNS_A_TICK)
        ticks = axis.ticks(window.first, window.last, most)
        if len(ticks) < 2:
            ticks = [(end, axis.text(end)) for end in (window.first, window.last)]
        labels = [(self.column(at), text) for at, text in ticks]
        marked = {column for column, _ in labels}
        line = "".join("┬" if column in marked else "─" for column in range(self._columns))
        rows = zip(self._labels(), range(self._rows), strict=True)
        return [
            *([(label, "dim"), *self._canvas.parts(row)] for label, row in rows),
            [(" " * (LABEL - 1) + "└" + line, "dim")],
            [
                (fit(axis.name, LABEL - 1, right=True) + " ", "dim"),
                (side_by_side(labels, self._columns), "dim"),
            ],
        ]

    def _buckets(self, one: Series) -> list[Bucket | None]:
        columns = self._columns if one.dots else 2 * self._columns
        first, last = self._window.first, self._window.last
        if one.dots or not self._smoothing:
            return one.curve.buckets(columns, first, last)
        reach = self._smoothing * columns
        before = round(3 * reach)  # what lies further back weighs less than a twentieth
        width = (last - first) / max(columns - 1, 1)
        buckets = one.curve.buckets(columns + before, first - before * width, last)
        return smoothed(buckets, reach)[before:]

    def _draw(self, one: Series, filled: list[tuple[int, Bucket]]) -> None:
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

    def _sign(self, lines: Sequence[Line]) -> None:
        """Puts each line's mark on it here and there, and on no cell two: where lines coincide, the
        marks of all of them are seen."""
        spots = [
            _spots(filled, n * _SIGN_EVERY // len(lines)) for n, (_, filled) in enumerate(lines)
        ]
        signed = set[int]()
        for turn in zip_longest(*spots):  # one each in turn: short lines have few cells
            for number, spot in enumerate(turn):
                if spot is not None and self._sign_near(*lines[number], spot):
                    signed.add(number)
        for number, (_, filled) in enumerate(lines):
            if filled and number not in signed:
                self.coincide = True
                x, bucket = filled[-1]
                self._canvas.mark(x // 2, self._scale.row(bucket.last, self._rows), SEVERAL)

    def _sign_near(self, one: Series, filled: Sequence[tuple[int, Bucket]], spot: int) -> bool:
        """Marks the free cell of a line that is nearest to one of its readings, if there is any."""
        near = range(max(0, spot - _SIGN_EVERY), min(len(filled), spot + _SIGN_EVERY + 1))
        for index in sorted(near, key=lambda index: abs(index - spot)):
            x, bucket = filled[index]
            row = self._scale.row(bucket.last, self._rows)
            if not self._canvas.is_marked(x // 2, row):
                self._canvas.pen = one.ink
                self._canvas.mark(x // 2, row, one.mark)
                return True
        return False

    def _mark(self, one: Series, buckets: list[tuple[int, Bucket]]) -> None:
        for column, bucket in buckets:
            self._canvas.mark(column, self._scale.row(bucket.last, self._rows), one.mark)

    def _labels(self) -> list[str]:
        """The vertical axis: round values, or its ends where there are none between them."""
        scale, rows = self._scale, self._rows
        usual = max(2, (rows - 1) // _ROWS_A_TICK)
        texts = dict[int, str]()
        for most in range(usual, max(usual, rows // 2) + 1):  # a low chart may take them closer
            texts = {scale.row(value, rows): tick(value) for value in scale.ticks(most)}
            if len(texts) > 1:
                break
        else:
            texts = {0: tick(scale.high), rows - 1: tick(scale.low)}
        return [fit(texts.get(row, ""), LABEL - 2, right=True) + " │" for row in range(rows)]


def _spots(filled: Sequence[tuple[int, Bucket]], offset: int) -> list[int]:
    """Where a line is marked: readings some columns apart, and the last one."""
    spots, column = list[int](), offset
    for index, (x, _) in enumerate(filled[:-1]):
        if x // 2 >= column:
            spots.append(index)
            column = x // 2 + _SIGN_EVERY
    return spots + [len(filled) - 1] * bool(filled)
