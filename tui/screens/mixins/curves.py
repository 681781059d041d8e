"""Curves of trainings: by what they are drawn, how smooth, and those of several runs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import reactive

from pipeline.contract.results.learning_curves import LOSS, STAGE
from tui.content.ink import MARKS, SERIES
from tui.content.plot import Series
from tui.content.smoothing import SMOOTHINGS
from tui.content.states import no_loss
from tui.readers.charts import ChartPlan, single_plans
from tui.readers.clean import clean
from tui.readers.measured import measured
from tui.readers.window import TRAINING
from tui.screens.mixins.chart_keys import ChartKeys

if TYPE_CHECKING:
    from tui.readers.run_reader import RunSnapshot


class CurveKeys(ChartKeys):
    """The keys of the scope "curves". A screen draws its curves along `chart.axis` in `_draw`."""

    def _draw(self) -> None:
        raise NotImplementedError

    def action_axis(self) -> None:
        """Draws by steps, by tokens, by time."""
        self.chart.axis = TRAINING[(TRAINING.index(self.chart.axis) + 1) % len(TRAINING)]
        self._draw()

    def action_smooth(self) -> None:
        """Smooths the curves more, at last not at all."""
        now = SMOOTHINGS.index(self.chart.smoothing)
        self.chart.smoothing = SMOOTHINGS[(now + 1) % len(SMOOTHINGS)]


class RunCurves(CurveKeys):
    """One metric of several runs in one chart."""

    plan: reactive[ChartPlan | None] = reactive(None, init=False, repaint=False)
    """What is drawn; None: the loss."""

    def _snapshots(self) -> Sequence[tuple[RunSnapshot, int]]:
        """The runs whose curves are drawn, and the look of each."""
        raise NotImplementedError

    def watch_plan(self) -> None:
        """Another metric: its steps are others too."""
        self.chart.whole()
        self._draw()

    @property
    def _plans(self) -> list[ChartPlan]:
        return single_plans({metric for run, _ in self._snapshots() for metric in run.metrics})

    def draw_runs(self, how: str) -> None:
        """Draws the metric of every run that has it along the chart's axis; says of which others
        it is not known."""
        runs, axis = self._snapshots(), self.chart.axis
        plan = self.plan or ChartPlan("Loss", ((STAGE, LOSS),))
        drawn = [(run, look, measured(run, plan.metrics[0], axis)) for run, look in runs]
        lacking = [clean(run.name, 24) for run, _, curve in drawn if curve is None]
        if lacking and len(lacking) < len(runs):
            how += f" · not known of {', '.join(lacking)}"
        self.chart.empty = f"no {plan.title.lower()} to draw by {axis.name}"
        if len(runs) == 1 and plan.metrics[0] == (STAGE, LOSS) and not runs[0][0].metrics:
            self.chart.empty = no_loss(runs[0][0])
        self.chart.title = f"{plan.title} · {how}"
        self.chart.series = tuple(
            Series(run.name, curve, SERIES[look], MARKS[look])
            for run, look, curve in drawn
            if curve is not None
        )

    def action_metric(self, step: int = 1) -> None:
        """Draws the next metric."""
        plans = self._plans
        at = plans.index(self.plan) if self.plan in plans else 0
        self.plan = plans[(at + step) % len(plans)]
