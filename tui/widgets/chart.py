"""A live line chart: training loss as a line, validation loss as marks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from textual.reactive import reactive
from textual.strip import Strip

from tui.readers.curve import Bucket, Curve
from tui.readers.format import number
from tui.widgets.canvas import Canvas
from tui.widgets.ink import Ink, Inked, Part, fit

_LABEL = 8
"""Cells of the labels of the vertical axis, and of the axis."""
_MARK, _GAP = "◆", "×"


@dataclass(frozen=True)
class _Scale:
    """Maps values to rows of dots; the top is 0."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, buckets: list[Bucket | None], log: bool) -> _Scale:
        """Holds every value, or every positive one on a logarithmic scale."""
        values = [value for b in buckets if b for value in (b.low, b.high) if not log or value > 0]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        return cls(low, high, log and low > 0)

    def row(self, value: float, height: int) -> int:
        low, high, value = (self._place(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round((1 - share) * (height - 1))

    def at(self, share: float) -> float:
        """The value at a share of the way up."""
        low, high = self._place(self.low), self._place(self.high)
        value = low + share * (high - low)
        return float(10**value) if self.log else value

    def _place(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value


class LossChart(Inked):
    """Follows two curves of the same steps."""

    loss: reactive[Curve] = reactive(Curve, always_update=True)
    validation_loss: reactive[Curve] = reactive(Curve, always_update=True)
    log_scale: reactive[bool] = reactive(False)
    empty: reactive[str] = reactive("")
    """What is said where there is nothing to draw."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn: tuple[object, ...] = ()
        self._lines: list[list[Part]] = []

    def on_mount(self) -> None:
        """Names the panel."""
        self.watch_log_scale()

    def watch_log_scale(self) -> None:
        """Says which scale holds."""
        self.border_title = "Loss"
        self.border_subtitle = "log scale" if self.log_scale else ""

    def render_line(self, y: int) -> Strip:
        """One line of the screen; all are drawn anew only when something has changed."""
        width, height = self.size
        state = (
            *(id(curve) for curve in (self.loss, self.validation_loss)),
            *(curve.version for curve in (self.loss, self.validation_loss)),
            *(width, height, self.log_scale, self.empty),
        )
        if state != self._drawn:
            self._drawn, self._lines = state, self._draw(width, height)
        return self.ink_strip(self._lines[y] if y < len(self._lines) else [], width)

    def _draw(self, width: int, height: int) -> list[list[Part]]:
        span = _span(self.loss, self.validation_loss)
        if span is None or width < _LABEL + 4 or height < 5:
            return [[], [(" " + self.empty, "dim")]]
        columns, rows = width - _LABEL, height - 3
        line = self.loss.buckets(columns * 2, *span)
        marks = self.validation_loss.buckets(columns, *span)
        scale = _Scale.of(line + marks, self.log_scale)
        cells = self._plot(Canvas(columns, rows), line, marks, scale)
        return [
            self._legend(width),
            *([(label, "dim"), *cells[row]] for row, label in enumerate(_labels(scale, rows))),
            [(" " * (_LABEL - 1) + "└" + "─" * columns, "dim")],
            [(" " * _LABEL + _between(f"{span[0]:,.0f}", f"step {span[1]:,.0f}", columns), "dim")],
        ]

    def _legend(self, width: int) -> list[Part]:
        parts: list[Part] = [(" ━ ", "accent"), ("train ", "dim"), (_last(self.loss), "strong")]
        if self.validation_loss.last is not None:
            parts += [(f"  {_MARK} ", "warn"), ("validation " if width >= 40 else "val ", "dim")]
            parts.append((_last(self.validation_loss), "strong"))
        gaps = len(self.loss.gaps) + len(self.validation_loss.gaps)
        return [*parts, (f"  {_GAP} {gaps} not a number", "bad")] if gaps else parts

    def _plot(
        self, canvas: Canvas, line: list[Bucket | None], marks: list[Bucket | None], scale: _Scale
    ) -> list[list[Part]]:
        rows, columns = canvas.height // 4, canvas.width // 2
        _draw_line(canvas, line, scale)
        over: dict[tuple[int, int], Part] = {
            (scale.row(bucket.last, rows), column): (_MARK, "warn")
            for column, bucket in enumerate(marks)
            if bucket
        }
        first, last = _span(self.loss, self.validation_loss) or (0.0, 0.0)
        for step in (*self.loss.gaps, *self.validation_loss.gaps):
            over[0, round((step - first) / (last - first or 1.0) * (columns - 1))] = (_GAP, "bad")
        return [_with_marks(canvas.row(row), row, over) for row in range(rows)]


def _draw_line(canvas: Canvas, buckets: list[Bucket | None], scale: _Scale) -> None:
    """Joins the buckets; each spans its lowest and highest reading, so no spike is lost."""

    def row(value: float) -> int:
        return scale.row(value, canvas.height)

    filled = [(x, bucket) for x, bucket in enumerate(buckets) if bucket]
    for x, bucket in filled:
        canvas.line(x, row(bucket.low), x, row(bucket.high))
    for (x0, left), (x1, right) in pairwise(filled):
        canvas.line(x0, row(left.last), x1, row(right.first))


def _with_marks(text: str, row: int, marks: dict[tuple[int, int], Part]) -> list[Part]:
    ink: Ink = "accent"
    return [marks.get((row, column), (cell, ink)) for column, cell in enumerate(text)]


def _span(*curves: Curve) -> tuple[float, float] | None:
    spans = [span for curve in curves if (span := curve.span)]
    return (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else None


def _labels(scale: _Scale, rows: int) -> list[str]:
    """The vertical axis: its ends and its middle named."""
    middle = rows // 2
    values = {0: scale.high, middle: scale.at(1 - middle / (rows - 1)), rows - 1: scale.low}
    texts = [number(values[row]) if row in values else "" for row in range(rows)]
    return [fit(text, _LABEL - 2, right=True) + " │" for text in texts]


def _last(curve: Curve) -> str:
    return number(curve.last) if curve.last is not None else "–"


def _between(left: str, right: str, width: int) -> str:
    return left + fit(right, max(0, width - len(left)), right=True)
