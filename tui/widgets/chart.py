"""A live line chart with zoom, pan, a logarithmic scale, and a point to inspect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.reactive import reactive
from textual.strip import Strip

from tui.content.ink import Part, fit
from tui.content.plot import GAP, LABEL, SEVERAL, Plot, Series
from tui.keys import keymap_of, with_keys
from tui.readers.clean import clean
from tui.readers.format import number
from tui.readers.window import STEPS, Axis, Window
from tui.widgets.inked import Inked

_AXIS_ROWS, _FEWEST_ROWS, _FEWEST_COLUMNS = 2, 2, 4
_LEGEND_ROWS = 3
"""Lines that the legend takes at the most."""
_NAMES = (24, 12, 8)
"""Cells of a series' name in the legend: where there is room, and where there is less."""
_ROOM = 0.06
"""Share of the axis that is left free for the readings to come."""


class Chart(Inked):
    """Follows the curves of some series over the same steps."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    series: reactive[tuple[Series, ...]] = reactive((), always_update=True, repaint=False)
    title: reactive[str] = reactive("")
    log_scale: reactive[bool] = reactive(False)
    smoothing: reactive[float] = reactive(0.0)
    """The share of the width that lines are smoothed over; 0 = not at all."""
    axis: reactive[Axis] = reactive(STEPS)
    """What the readings are drawn by."""
    window: reactive[Window | None] = reactive(None)
    """What is in view; None for everything."""
    inspected: reactive[float | None] = reactive(None)
    """The step whose readings are told."""
    empty: reactive[str] = reactive("")
    """What is said where there is nothing to draw."""

    def __init__(self, id: str | None = None, axis: Axis = STEPS) -> None:
        super().__init__(id=id)
        self.set_reactive(Chart.axis, axis)
        self._drawn: object = ()
        self._lines: list[list[Part]] = []
        self._room: tuple[object, float, float] = ((), 0.0, 0.0)

    def watch_series(self) -> None:
        """New readings, or other curves."""
        self.refresh_changed()

    def watch_title(self) -> None:
        """Another metric."""
        self._name_panel()

    def watch_log_scale(self) -> None:
        """Another scale."""
        self._name_panel()

    def watch_smoothing(self) -> None:
        """Smoother, or as it is."""
        self._name_panel()

    def watch_axis(self) -> None:
        """Another count: what was in view and what was inspected belong to the one before."""
        self.whole()

    def watch_window(self) -> None:
        """Another part of the steps."""
        self._name_panel()

    def _name_panel(self) -> None:
        notes = ["log scale"] * self.log_scale
        notes += [f"smoothed over {self.smoothing:.0%}"] * bool(self.smoothing)
        if self.window:
            whole = with_keys("{chart.whole} shows all", keymap_of(self.app))
            notes += ["follows" if self._follows else "zoomed", whole]
        self.entitle(clean(self.title), " · ".join(notes))

    @property
    def _follows(self) -> bool:
        """Whether the view moves on with new readings."""
        return bool(self.window and self.window.follows) and self.axis.grows

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last step of all series."""
        spans = [span for one in self.series if (span := one.curve.span)]
        if not spans:
            return None
        return self._with_room(min(s[0] for s in spans), max(s[1] for s in spans))

    def _with_room(self, first: float, last: float) -> tuple[float, float]:
        """The steps of the axis. Once it has to grow, it grows a little more than it must: else
        every new reading would move all of the curve, which over a slow line is a lot to send."""
        curves = [one.curve.key for one in self.series]
        known, start, end = self._room
        if known != curves or first != start or end - last > 2 * _ROOM * (end - first):
            end = last
        elif last > end:
            end = math.ceil(last + _ROOM * (last - first))
        self._room = (curves, first, end)
        return first, end

    @property
    def view(self) -> Window | None:
        """The steps in view; None where there are no readings."""
        span = self.span
        if span is None:
            return None
        return self.window.over(span) if self.window else Window(*span, follows=True)

    def zoom(self, factor: float, at: float | None = None) -> None:
        """Shows `factor` times as many steps, around one step."""
        if (span := self.span) and (view := self.view):
            if at is None:
                at = self.inspected
            if at is None:
                at = view.last if view.follows else (view.first + view.last) / 2
            self.window = view.zoomed(factor, span, at)

    def move(self, share: float) -> None:
        """Moves the inspected point by a column, or the view by a share of its width."""
        if not ((span := self.span) and (view := self.view)):
            return
        if self.inspected is None:
            self.window = view.panned(share, span) if self.window else None
            return
        self.inspected = self._next_reading(self.inspected, 1 if share > 0 else -1, view)
        if self.window:
            self.window = view.showing(self.inspected, span)

    def inspect(self) -> None:
        """Starts at the newest reading in view, or ends."""
        view = self.view
        if self.inspected is not None or view is None:
            self.inspected = None
        else:
            self.inspected = self._nearest(view.last)

    def whole(self) -> None:
        """Shows all steps, and follows."""
        self.window = self.inspected = None

    def on_click(self, event: events.Click) -> None:
        """Inspects the reading under the mouse."""
        offset, view = event.get_content_offset(self), self.view
        if offset is not None and view is not None and offset.x >= LABEL:
            share = (offset.x - LABEL) / max(1, self._columns - 1)
            self.inspected = self._nearest(view.first + share * view.width)

    def on_mouse_scroll_up(self) -> None:
        """Zooms in."""
        self.zoom(0.5)

    def on_mouse_scroll_down(self) -> None:
        """Zooms out."""
        self.zoom(2.0)

    @property
    def _columns(self) -> int:
        return self.size.width - LABEL

    def _nearest(self, step: float) -> float | None:
        steps = [near[0] for one in self.series if (near := one.curve.nearest(step))]
        return min(steps, key=lambda near: abs(near - step)) if steps else None

    def _next_reading(self, step: float, direction: int, view: Window) -> float:
        """The reading a column further, or further where there is none so near."""
        stride = max(1.0, view.width / max(1, self._columns - 1))
        nearest = self._nearest(step + direction * stride)
        while nearest == step and view.first < step + direction * stride < view.last:
            stride *= 2
            nearest = self._nearest(step + direction * stride)
        return step if nearest is None else nearest

    def draw_line(self, y: int) -> Strip:
        """One line of the screen; all are drawn anew only when something has changed."""
        width, height = self.size
        curves = [(one.name, one.mark, one.curve.key, one.curve.version) for one in self.series]
        looks = (self.log_scale, self.smoothing, self.axis)
        choices = (*looks, self.window, self.inspected, self.empty)
        state = (width, height, curves, choices)
        if state != self._drawn:
            self._drawn, self._lines = state, self._draw(width, height)
        return self.ink_strip(self._lines[y] if y < len(self._lines) else [], width)

    def _draw(self, width: int, height: int) -> list[list[Part]]:
        view = self.view
        if view is None:
            return _told(self.empty, width)
        legend = self._legend(width)
        rows = height - len(legend) - _AXIS_ROWS
        if self._columns < _FEWEST_COLUMNS or rows < _FEWEST_ROWS:
            lacking = "narrow" if self._columns < _FEWEST_COLUMNS else "low"
            return _told(f"too {lacking} for a chart", width)
        drawn = [one for one in self.series if one.curve.span]
        looks = (self.log_scale, self.axis, self.smoothing)
        plot = Plot(drawn, view, self._columns, rows, *looks)
        if self.inspected is not None:
            plot.inspect(self.inspected)
        if plot.coincide:
            legend[-1].append((f" {SEVERAL} several in one place", "dim"))
        return [*legend, *plot.lines()]

    def _legend(self, width: int) -> list[list[Part]]:
        """What each line is, and its newest or its inspected reading."""
        entries = list[list[Part]]()
        for name in _NAMES:  # shorter names where full ones take more than two lines
            entries = [self._entry(one, name) for one in self.series]
            if len(list(_flow(entries, width))) <= 2:
                break
        if self.inspected is not None:
            at = f" {self.axis.name} {self.axis.text(self.inspected)} "
            entries.insert(0, [(at, "strong")])
        gaps = sum(len(one.curve.gaps) for one in self.series)
        if gaps:
            entries.append([(f" {GAP} {gaps} not a number", "bad")])
        return list(_flow(entries, width))[:_LEGEND_ROWS]

    def _entry(self, one: Series, cells: int) -> list[Part]:
        name = fit(clean(one.name), cells).rstrip()
        return [(f" {one.mark} ", one.ink), (f"{name} ", "dim"), (self._reading(one), "strong")]

    def _reading(self, one: Series) -> str:
        if self.inspected is None and not self.axis.grows:
            return ""
        if self.inspected is None:
            return number(one.curve.last) if one.curve.last is not None else "–"
        near = one.curve.nearest(self.inspected)
        if near is None:
            return "–"
        value = "not a number" if math.isnan(near[1]) else number(near[1])
        return value if near[0] == self.inspected else f"{value} at {self.axis.text(near[0])}"


def _told(text: str, width: int) -> list[list[Part]]:
    """A sentence in place of the curves, below an empty line."""
    lines: list[list[Part]] = [[]]
    lines += [[(f" {line}", "dim")] for line in wrap(text, max(1, width - 2))]
    return lines


def _length(entry: Sequence[Part]) -> int:
    """Cells of an entry, with the one that follows it."""
    return sum(cell_len(text) for text, _ in entry) + 1


def _flow(entries: Iterable[Sequence[Part]], width: int) -> Iterable[list[Part]]:
    """Entries side by side, on as many lines as they need."""
    line: list[Part] = []
    used = 0
    for entry in entries:
        length = _length(entry)
        if line and used + length > width:
            yield line
            line, used = [], 0
        line += [*entry, (" ", "plain")]
        used += length
    yield line
