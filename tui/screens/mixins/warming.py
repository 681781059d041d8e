"""Screens that put questions to a run's worker: the index that it needs, and how it comes up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from textual import on, work
from textual.dom import DOMNode
from textual.message import Message
from textual.reactive import reactive

from pipeline.contract.errors import CancelledError, HeadwaterError
from pipeline.contract.run.asking import read_phase
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import upstream
from tui.content.ink import Ink
from tui.content.states import standing
from tui.keys import keymap_of, with_keys
from tui.processes.answerer import Answerer
from tui.processes.launcher import start_stages
from tui.readers.clean import clean_lines
from tui.readers.foreseen import foreseen
from tui.readers.run_reader import RunReader, RunSnapshot
from tui.screens.dialogs.confirm import ConfirmDialog
from tui.widgets.banner import Banner
from tui.widgets.notice import Notice

_INTERVAL_S = 1.0
_NEEDED = upstream("index") | {"index"}


class Warming(DOMNode):
    """Waits for the index, then loads the model. A screen names `View` before this."""

    _run: RunDir
    _answerer: Answerer
    _is_starting = False

    missing: reactive[tuple[str, ...]] = reactive((), init=False, repaint=False, bindings=True)
    """Stages that have to run before anything can be asked."""

    @dataclass
    class Starting(Message):
        """What a worker that starts is at."""

        phase: str

    @work(exclusive=True)
    async def prepare(self) -> None:
        """Follows the run until the index is there, then loads the model."""
        reader, working = RunReader(self._run), True
        while working:
            snapshot = await asyncio.to_thread(reader.read)
            self._tell(snapshot)
            working = snapshot.working
            if not self.missing:
                break
            await asyncio.sleep(_INTERVAL_S if working else 0)
        if self.missing or snapshot.trouble:
            return
        try:
            await self.warm()
        except CancelledError:
            return
        except HeadwaterError as error:
            self.fail(error)
        else:
            self.stand("✓ the model is loaded")

    def _tell(self, snapshot: RunSnapshot) -> None:
        """What is missing, and how it comes along."""
        stages = [stage for stage in snapshot.stages if stage.stage in _NEEDED]
        self.missing = tuple(stage.stage for stage in stages if stage.state != "done")
        notice, banner = self.query_one(Notice), self.query_one(Banner)
        failed = [f"{s.stage} {s.state}: {s.message}" for s in stages if s.message]
        how = with_keys("{ask.index} runs what is missing: ", keymap_of(self.app))
        advice = how + ", ".join(self.missing)
        notice.warning = ""
        if snapshot.trouble:
            notice.trouble = snapshot.trouble
        elif self.missing and snapshot.working:
            coming = any(s.stage == "index" and s.state != "waiting" for s in stages)
            later = "" if coming else f"\nwhen the stages at work have finished, {advice}"
            told = "questions are answered once the index is there"
            notice.trouble, notice.warning = "", told + later
            banner.standing = standing(snapshot)
        elif self.missing and failed:
            notice.trouble = f"{failed[0]}\n{advice}"
        elif self.missing:
            notice.warning = f"there is no index that is up to date\n{advice}"
        if self.missing and not snapshot.working:
            banner.standing = ("", "dim")

    async def warm(self) -> None:
        """Loads the model, where it is not there yet, and says what is being loaded.

        Raises:
            CancelledError: the screen was left.
            HeadwaterError: the worker did not come up.
        """
        # a worker that starts already, for what was asked before, says only what changes
        self.stand(f"● {read_phase(self._run) or 'loading the model'} …")
        say = lambda phase: self.post_message(self.Starting(phase))  # noqa: E731 (from a thread)
        await asyncio.to_thread(self._answerer.warm, say)

    @on(Starting)
    def _starting(self, event: Starting) -> None:
        self.stand(f"● {event.phase} …")

    def stand(self, text: str) -> None:
        """Says in the first line how far things are."""
        ink: Ink = "good" if text.startswith("✓") else "accent"
        self.query_one(Banner).standing = (text, ink)

    def fail(self, error: HeadwaterError) -> None:
        """Says what is wrong."""
        self.query_one(Notice).trouble = str(error)
        self.query_one(Banner).standing = ("", "dim")

    @work
    async def action_index(self) -> None:
        """Runs the stages that are missing, and goes on when they have finished."""
        if self._is_starting:
            return
        self._is_starting = True
        try:
            snapshot = await asyncio.to_thread(RunReader(self._run).read)
            stages = [stage for stage in snapshot.stages if stage.stage in self.missing]
            told = await asyncio.to_thread(foreseen, self._run, stages)
            question = ConfirmDialog("Run what is missing?", told.text, "run it", "not now")
            if told.is_long and not await self.app.push_screen_wait(question):
                return
            await asyncio.to_thread(start_stages, self._run, self.missing)
        except HeadwaterError as error:
            self.app.notify(clean_lines(str(error)), severity="error", markup=False)
        finally:
            self._is_starting = False
        self.prepare()
