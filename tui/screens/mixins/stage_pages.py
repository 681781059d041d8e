"""The selected stage of a run on two pages: what is known of it, and its log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Input

from pipeline.contract.run.run_dir import RunDir
from tui.readers.log_tail import LogTail
from tui.screens.mixins.stage_keys import StageKeys
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.log_panel import LogPanel
from tui.widgets.stage_list import StageList
from tui.widgets.stage_panel import StagePanel

if TYPE_CHECKING:
    from pipeline.contract.run.status import State
    from tui.readers.run_reader import RunSnapshot
    from tui.readers.stage_results import StageResults

_NO_LOG: dict[State, str] = {
    "waiting": "has not run yet",
    "queued": "has not run yet",
    "running": "nothing written yet",
    "stopping": "nothing written yet",
}


class StagePages(StageKeys):
    """A screen with the panels `#stage` and `#log`, of which one is shown, small or large."""

    def __init__(self, run: RunDir) -> None:
        super().__init__(run)
        self._log: tuple[str, LogTail] | None = None
        self._results: tuple[tuple[str, object], StageResults] | None = None
        """Stage, the seconds that it took or the plan that it is in, and what is known of it."""

    @on(Lines.Moved, "#stages")
    async def _stage_selected(self) -> None:
        if self.snapshot is not None:
            self._show_stage(self.snapshot)
        await self._read_log()
        await self._read_results()

    def _show_stage(self, snapshot: RunSnapshot) -> None:
        """Shows what is known of the selected stage without reading its results."""
        stage, panel = self.query_one(StageList).selected, self.query_one(StagePanel)
        if stage is None:
            return
        if panel.stage != stage.stage:
            panel.results = None
        panel.warnings = snapshot.warnings.get(stage.stage, ())
        panel.sharers = snapshot.workers.get(stage.stage, ()) if stage.at_work else ()
        panel.stages, panel.stage = snapshot.stages, stage.stage

    async def _read_results(self) -> None:
        """Reads what the selected stage made, once for each time that it has finished, or what it
        will take."""
        from tui.readers.stage_results import expected_results, plan_mark, stage_results

        stage = self.query_one(StageList).selected
        if stage is None:
            self.query_one(StagePanel).results = None
            return
        has_run = stage.state in ("done", "finished", "stale")
        wanted = (stage.stage, stage.seconds if has_run else plan_mark(self._run))
        if self._results is None or self._results[0] != wanted:
            read = stage_results if has_run else expected_results
            self._results = (wanted, await asyncio.to_thread(read, self._run, stage.stage))
        selected = self.query_one(StageList).selected
        if selected is not None and selected.stage == stage.stage:
            self.query_one(StagePanel).results = self._results[1]

    async def _read_log(self) -> None:
        """Shows the log of the selected stage from where it was left."""
        stage = self.query_one(StageList).selected
        panel = self.query_one(LogPanel)
        if stage and (self._log is None or self._log[0] != stage.stage):
            self._log = (stage.stage, LogTail(self._run.log(stage.stage)))
            panel.show(stage.stage)
        if stage and self._log:
            empty = _NO_LOG.get(stage.state, "wrote nothing")
            panel.add(await asyncio.to_thread(self._log[1].read), empty)

    def action_page(self, page: int) -> None:
        """Shows what the selected stage made, or its log."""
        had_focus = self.query_one("#log").has_focus or self.query_one("#stage").has_focus
        self.set_class(page == 1, "-page-log")
        if had_focus:
            self._page.focus()

    @property
    def _page(self) -> Widget:
        return self.query_one("#log" if self.has_class("-page-log") else "#stage")

    @on(Lines.Chosen, "#stages")
    def _enlarge_page(self) -> None:
        self._enlarge("-large", self._page)

    def _enlarge(self, name: str, part: Widget) -> None:
        """Shows one part alone; shows all again if it is alone already."""
        alone = not self.has_class(name)
        self.remove_class("-large", "-devices")
        self.set_class(alone, name)
        (part if alone else self.query_one("#stages")).focus()

    async def action_find(self) -> None:
        """Opens the search of the log."""
        from tui.widgets.entry import Entry

        self.action_page(1)
        if opened := self.query("#find"):
            opened.first(Entry).focus()
            return
        words = self.query_one(LogPanel).words
        entry = Entry(words, "search the log", id="find")
        await self.mount(entry, before=self.query_one(KeyBar))
        entry.focus()

    @on(Input.Changed, "#find")
    def _find(self, event: Input.Changed) -> None:
        self.query_one(LogPanel).words = event.value

    @on(Input.Submitted, "#find")
    async def _found(self) -> None:
        await self.query("#find").remove()
        self.query_one("#log").focus()

    def action_next_match(self, step: int = 1) -> None:
        """Goes to the next line that the search found, or to the one before."""
        self.action_page(1)
        self.query_one(LogPanel).step(step)
