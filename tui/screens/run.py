"""One run: its stages, its loss, the machine, the log.

The screens that it leads to are imported when they are opened: the first paint is quicker so.
"""

from __future__ import annotations

import asyncio
import time
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from pipeline.contract.run.run_dir import RunDir
from tui.content.ink import Ink
from tui.content.plot import Series
from tui.content.states import no_loss, standing
from tui.keys import Scope, bindings
from tui.readers.charts import ChartPlan, chart_plans
from tui.readers.measured import measured
from tui.screens.before_after import BeforeAfter
from tui.screens.mixins.ahead import AHEAD_S, RESULTS, SCREENS, import_ahead
from tui.screens.mixins.curves import CurveKeys
from tui.screens.mixins.stage_keys import choices
from tui.screens.mixins.stage_pages import StagePages
from tui.screens.mixins.view import FIRST_LOOK_S
from tui.widgets.banner import Banner
from tui.widgets.chart import Chart
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.log_panel import LogPanel
from tui.widgets.machine import MachinePanel
from tui.widgets.notice import Notice
from tui.widgets.stage_list import StageList
from tui.widgets.stage_panel import StagePanel

if TYPE_CHECKING:
    from textual.css.query import DOMQuery

    from tui.readers.hardware import MachineReader, MachineSample
    from tui.readers.run_reader import RunReader, RunSnapshot
    from tui.widgets.devices import Devices

_INTERVAL_S, _UNATTENDED_S = 1.0, 2.0
"""Seconds between two looks at the run; with nobody at the keyboard."""
_MACHINE_S = 1.9
_SLURM_S = 10.0
"""Its controller answers for the whole cluster."""
_LOOKS: dict[bool, tuple[Ink, str, bool]] = {
    False: ("accent", "━", False),
    True: ("warn", "◆", True),
}
"""Ink, mark and whether the readings stand alone: of a chart's first curve, and of the others."""


class RunScreen(StagePages, CurveKeys, BeforeAfter):
    """Watches a run and starts or stops its stages, which live on without it."""

    SCOPE: ClassVar[Scope] = "run"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("run"),
        *bindings("curves"),
        *bindings("chart"),
    ]

    metric: reactive[int] = reactive(0, init=False, repaint=False)
    """Which of the run's charts is drawn."""

    def __init__(self, run: RunDir, machine: MachineReader) -> None:
        super().__init__(run)
        self._machine = machine
        self._machine_due = 0.0

    def compose(self) -> ComposeResult:
        """Stages and machine on the left, the loss on the right, the selected stage below."""
        yield Banner()
        with Horizontal(id="overview"):
            with Vertical(id="left"):
                yield StageList(id="stages")
                yield MachinePanel(id="machine")
            yield Chart(id="chart")
        yield Notice(id="notice")
        yield StagePanel(id="stage")
        yield LogPanel(id="log")
        yield KeyBar()

    def on_mount(self) -> None:
        """Starts to follow the run."""
        self.query_one(Banner).trail = (self._run.name,)
        self.chart.empty = no_loss(None)
        self.is_reading = True
        self.set_timer(FIRST_LOOK_S, self._follow)
        self.set_timer(AHEAD_S, self._import_ahead)
        self.set_timer(FIRST_LOOK_S, self._ask_slurm)

    @work
    async def _import_ahead(self) -> None:
        """Has every screen open at once, and the rankings where there are some."""
        has_results = self._run.scores.exists()
        await import_ahead(self.app, (*RESULTS, *SCREENS) if has_results else SCREENS)

    @work
    async def _ask_slurm(self) -> None:
        """Looks now and then at jobs of the run: Slurm may take long to answer."""
        while True:
            if self.is_watched and self._run.slurm.exists():
                from tui.processes.slurm import look_now_and_then

                await asyncio.to_thread(look_now_and_then, self._run)
            await asyncio.sleep(_SLURM_S)

    @work
    async def _follow(self) -> None:
        self.snapshot = await asyncio.to_thread(self._glance)
        self.end_reading()
        while True:
            if self.is_watched or self.snapshot is None or not self.snapshot.is_whole:
                await self.look()
            in_part = self.snapshot is not None and self.snapshot.read_share < 1
            await asyncio.sleep(0.0 if in_part else self._pause_s)

    @property
    def _pause_s(self) -> float:
        is_attended = getattr(self.app, "is_attended", True)
        return _INTERVAL_S if is_attended else _UNATTENDED_S

    async def look(self) -> None:
        """Reads the run, the machine and the log once, off the event loop."""
        snapshot = await asyncio.to_thread(self._read_run)
        self.snapshot = snapshot
        await self._look_at_machine()
        await self._read_log()
        await self._read_results()

    @cached_property
    def _reader(self) -> RunReader:
        from tui.readers.run_reader import RunReader  # not before the first paint

        return RunReader(self._run)

    def _glance(self) -> RunSnapshot:
        return self._reader.glance()

    def _read_run(self) -> RunSnapshot:
        return self._reader.read()

    async def _look_at_machine(self) -> None:
        """Now and then only: asking NVML often slows the GPU's own work."""
        if time.monotonic() < self._machine_due or self.snapshot is None:
            return
        self._machine_due = time.monotonic() + _MACHINE_S
        await self._show_machine(await asyncio.to_thread(self._machine.read, self.snapshot.pid))

    def watch_snapshot(self, old: RunSnapshot | None, new: RunSnapshot | None) -> None:
        """Hands what was read to the widgets."""
        if new is None:
            return
        self.query_one(StageList).stages = new.stages
        self._show_stage(new)
        self._draw()
        self.query_one(Banner).standing = standing(new)
        self._explain()
        if old is None or choices(old) != choices(new):
            self.refresh_bindings()

    def watch_metric(self) -> None:
        """Another chart: its steps are others too."""
        self.chart.whole()
        self._draw()

    @property
    def _plans(self) -> list[ChartPlan]:
        return chart_plans(self.snapshot.metrics if self.snapshot else ())

    def _draw(self) -> None:
        plan = self._plans[self.metric % len(self._plans)]
        axis, run = self.chart.axis, self.snapshot
        curves = [measured(run, metric, axis) if run else None for metric in plan.metrics]
        share = run.read_share if run else 1.0
        is_told = bool(run and run.metrics)
        self.chart.empty = f"nothing to draw by {axis.name}" if is_told else no_loss(run)
        self.chart.title = plan.title + (f" · reading, {share:.0%}" if share < 1 else "")
        self.chart.series = tuple(
            Series(metric[1].replace("_", " "), curve, *_LOOKS[number > 0])
            for number, (metric, curve) in enumerate(zip(plan.metrics, curves, strict=True))
            if curve is not None
        )

    async def _show_machine(self, machine: MachineSample) -> None:
        panel = self.query_one(MachinePanel)
        panel.machine = machine
        self._show_stage_memory()
        for devices in self._devices:
            processes = await asyncio.to_thread(self._machine.processes, machine)
            devices.show(machine, processes, panel.stage_name, panel.stage_memory)

    def _show_stage_memory(self) -> None:
        """As it was reported by the stage at work, or by the one under the cursor."""
        if self.snapshot is None:
            return
        stage = self.snapshot.at_work or self.query_one(StageList).selected
        panel = self.query_one(MachinePanel)
        panel.stage_name = stage.stage if stage else ""
        panel.stage_memory = self.snapshot.memory.get(panel.stage_name)
        panel.refresh_changed()

    @on(Lines.Moved, "#stages")
    def _look_at_selected(self) -> None:
        self._explain()
        self._show_stage_memory()

    def _explain(self) -> None:
        """Says what is wrong with the run, or with the selected stage."""
        if self.snapshot is None:
            return
        stage = self.query_one(StageList).selected
        trouble = f"{stage.stage} {stage.state}: {stage.message}" if stage and stage.message else ""
        warned = next(iter(self.snapshot.warnings.get(stage.stage, ())), "") if stage else ""
        notice = self.query_one(Notice)
        notice.trouble, notice.warning = self.snapshot.trouble or trouble, warned

    def action_rankings(self) -> None:
        """Opens the rankings."""
        from tui.screens.rankings import RankingsScreen

        self.app.push_screen(RankingsScreen(self._run))

    def action_ask(self) -> None:
        """Opens the questions to the model."""
        from tui.screens.ask import AskScreen

        self.app.push_screen(AskScreen(self._run))

    def action_factors(self) -> None:
        """Opens the factors."""
        from tui.screens.factors import FactorsScreen

        self.app.push_screen(FactorsScreen(self._run))

    def action_evaluation(self) -> None:
        """Opens the evaluation."""
        from tui.screens.evaluation import EvaluationScreen

        self.app.push_screen(EvaluationScreen(self._run))

    def action_report(self) -> None:
        """Opens the report."""
        from tui.screens.report import ReportScreen

        self.app.push_screen(ReportScreen(self._run))

    @property
    def _devices(self) -> DOMQuery[Devices]:
        """The page of all devices, once somebody has opened it."""
        return cast("DOMQuery[Devices]", self.query("#devices"))

    async def action_devices(self) -> None:
        """Gives the machine the whole screen, or takes it back."""
        from tui.widgets.devices import DeviceList, Devices  # the first look has none

        if not self._devices:  # like the search, not before somebody wants it
            await self.mount(Devices(id="devices"), before="#notice")
            self._machine_due = 0.0
            await self._look_at_machine()
        self._enlarge("-devices", self.query_one(DeviceList))

    def action_settings(self) -> None:
        """Opens the settings."""
        from tui.screens.settings import SettingsScreen

        self.app.push_screen(SettingsScreen(self._run))

    def action_prompts(self) -> None:
        """Opens the prompts."""
        from tui.screens.prompts import PromptsScreen

        self.app.push_screen(PromptsScreen(self._run))

    def action_metric(self) -> None:
        """Draws the next metric."""
        self.metric = (self.metric + 1) % len(self._plans)

    async def action_leave(self) -> None:
        """One step out: from the search, from a part shown alone, from the screen."""
        log = self.query_one(LogPanel)
        if log.words or self.query("#find"):
            await self.query("#find").remove()
            log.words = ""
            log.focus()
        elif self.has_class("-large") or self.has_class("-devices"):
            self.remove_class("-large", "-devices")
            self.query_one("#stages").focus()
        else:
            await self.run_action("app.out")
