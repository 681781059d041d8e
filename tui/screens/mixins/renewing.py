"""Screens of results that stay open while stages run: they say when there are newer ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.dom import DOMNode
from textual.screen import Screen

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import upstream
from tui.keys import keymap_of, with_keys
from tui.readers.clean import clean_lines
from tui.widgets.banner import Banner
from tui.widgets.notice import Notice

if TYPE_CHECKING:
    from pipeline.contract.run.status import StageStatus
    from tui.commands import CommandedApp

_INTERVAL_S = 2.0
_COMING = ("queued", "running", "stopping")
"""States of a stage that is under way."""
_NEWER = "newer results: {results.renew} shows them"


class Renewing(DOMNode):
    """Nothing changes under a person's hands: the first line tells, a key shows what is newer. A
    screen names `View` before it: Textual styles by the first base alone."""

    STAGES: ClassVar[tuple[str, ...]]
    """Whose results are shown."""
    _run: RunDir

    _seen: dict[str, int]

    def on_mount(self) -> None:
        """Starts to look; Textual calls this beside the screen's own."""
        self.see()  # before anything is read
        self._look_for_newer()

    def see(self) -> None:
        """What is shown from now on is of the results that are there now."""
        self._seen = self._finishes()
        self.query_one(Banner).news = ""

    def tell(self, error: Exception | None, reading: str = "the results") -> None:
        """What became of reading the results; of a stage that is missing, whether it comes."""
        notice = self.query_one(Notice)
        notice.tell(error, reading)
        if notice.stage:
            self._tell_coming(notice, notice.stage)

    @work(group="coming", exclusive=True)
    async def _tell_coming(self, notice: Notice, stage: str) -> None:
        from tui.readers.run_reader import RunReader

        snapshot = await asyncio.to_thread(RunReader(self._run).read)
        states = [one.state for one in snapshot.stages if one.stage == stage]
        if stage == notice.stage and states and states[0] in _COMING:
            notice.coming(states[0])

    @property
    def shows_results(self) -> bool:
        """Whether anything is shown that could be out of date."""
        return True

    @work(group="newer results")  # an exclusive worker of the screen ends those of its own group
    async def _look_for_newer(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            finishes = await asyncio.to_thread(self._finishes)
            if not self.shows_results:
                continue
            if any(self._seen.get(stage) != finish for stage, finish in finishes.items()):
                self.query_one(Banner).news = with_keys(_NEWER, keymap_of(self.app))

    def _finishes(self) -> dict[str, int]:
        """When each finished stage did, in nanoseconds of its file."""
        files = {stage: self._run.done(stage) for stage in self.STAGES}
        return {stage: file.stat().st_mtime_ns for stage, file in files.items() if file.exists()}

    @work
    async def action_run_missing(self) -> None:
        """Runs the stage whose results are missing, with all that it needs, if a person wants it;
        the run's screen shows how it goes."""
        from tui.processes.launcher import start_stages
        from tui.readers.foreseen import foreseen
        from tui.screens.dialogs.confirm import ConfirmDialog

        if not (stage := self.query_one(Notice).stage):
            return
        try:
            needed = await asyncio.to_thread(_needed, self._run, stage)
            told = await asyncio.to_thread(foreseen, self._run, needed)
        except HeadwaterError as error:
            self.app.notify(clean_lines(str(error)), severity="error", markup=False)
            return
        question = ConfirmDialog(f"Run {stage}?", told.text, "run it", "not now")
        if not await self.app.push_screen_wait(question):
            return
        try:
            names = tuple(one.stage for one in needed)
            await asyncio.to_thread(start_stages, self._run, names)
        except HeadwaterError as error:
            self.app.notify(clean_lines(str(error)), severity="error", markup=False)
        else:
            cast("CommandedApp", self.app).open_run(self._run)

    def renewed(self) -> Screen[None]:
        """The screen that takes this one's place."""
        raise NotImplementedError

    def action_renew(self) -> None:
        """Reads everything again."""
        self.app.switch_screen(self.renewed())


def _needed(run: RunDir, stage: str) -> list[StageStatus]:
    """The stage and those before it that are not up to date, in their order."""
    from tui.readers.run_reader import RunReader

    wanted = upstream(stage) | {stage}
    found = RunReader(run).read().stages
    return [one for one in found if one.stage in wanted and one.state != "done"]
