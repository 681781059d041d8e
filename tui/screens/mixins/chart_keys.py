"""The keys of a chart, for every screen that has one."""

from __future__ import annotations

from textual.dom import DOMNode

from tui.widgets.chart import Chart


class ChartKeys(DOMNode):
    """Hands the keys of the scope "chart" to the screen's chart. A screen names `View` before it:
    Textual styles by the first base alone."""

    @property
    def chart(self) -> Chart:
        """The chart."""
        return self.query_one(Chart)

    def action_log_scale(self) -> None:
        """Changes the scale."""
        self.chart.log_scale = not self.chart.log_scale

    def action_zoom(self, factor: float) -> None:
        """Shows fewer steps, or more."""
        self.chart.zoom(factor)

    def action_pan(self, share: float) -> None:
        """Shows earlier or later steps, or moves the inspected point."""
        self.chart.move(share)

    def action_whole(self) -> None:
        """Shows all steps."""
        self.chart.whole()

    def action_inspect(self) -> None:
        """Tells the readings at a point, or stops."""
        self.chart.inspect()
