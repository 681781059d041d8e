"""Starting and stopping the stages of a run. They live on without the screen.

What a key needs is imported when it is pressed: the first paint is quicker so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual import work
from textual.reactive import reactive

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir
from tui.screens.mixins.view import View
from tui.widgets.stage_list import StageList

if TYPE_CHECKING:
    from pipeline.contract.run.status import StageStatus
    from tui.readers.foreseen import Foreseen
    from tui.readers.run_reader import RunSnapshot


class StageKeys(View[None]):
    """What the keys of a run do to its stages; a screen of one run is built on it."""

    snapshot: reactive[RunSnapshot | None] = reactive(None, repaint=False)

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self._run, self._starting = run, False

    @property
    def shown_run(self) -> RunDir:
        """The run that is shown."""
        return self._run

    async def look(self) -> None:
        """Reads how the run stands now."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer offers what makes sense now: of what works on stages nothing before these are
        known."""
        return choices(self.snapshot).get(action, True)

    @work(exclusive=True, group="asking")
    async def action_run_all(self) -> None:
        """Runs every stage; those that are up to date are passed over."""
        stages = tuple(stage.stage for stage in self._stages if not stage.optional)
        if await self._may_take_long("Run all?", self._unfinished(stages)):
            self._start(stages)

    @work(exclusive=True, group="asking")
    async def action_resume(self) -> None:
        """Runs what was asked for and has not finished."""
        from pipeline.contract.run.status import left_over

        stages = left_over(self._stages)
        if await self._may_take_long("Go on?", self._unfinished(stages)):
            self._start(stages)

    @work(exclusive=True, group="asking")
    async def action_run_stage(self) -> None:
        """Runs the selected stage; one that is up to date only if a person insists."""
        from pipeline.contract.run.stages import STAGES, upstream

        stage = self.query_one(StageList).selected
        if stage is None:
            return
        again = (stage.stage,) if stage.state == "done" else ()
        needed = upstream(stage.stage) & set(self._unfinished(STAGES)) | {stage.stage}
        stages = tuple(name for name in STAGES if name in needed)
        if again:
            text = "It is up to date. What it wrote is replaced, and later stages become stale."
            title = f"Run {stage.stage} again?"
            agreed = await self._agrees(title, text, "run it again", "leave it")
        else:
            agreed = await self._may_take_long(f"Run {stage.stage}?", stages)
        if agreed:
            self._start(stages, again)

    @work(exclusive=True, group="asking")
    async def action_from_here(self) -> None:
        """Runs the selected stage and all after it from nothing, if a person insists."""
        from pipeline.contract.run.stages import STAGES, downstream, upstream

        stage = self.query_one(StageList).selected
        if stage is None:
            return
        unasked = {s.stage for s in self._stages if s.unasked} - {stage.stage}
        stages = tuple(name for name in STAGES if name in downstream(stage.stage) - unasked)
        told = await self._foreseen(stages)
        if told is None:
            return
        text = (
            "These start from nothing, and what they wrote is replaced:\n\n"
            f"  {', '.join(stages)}\n\n{told.text}"
        )
        title = f"Run again from {stage.stage}?"
        if not await self._agrees(title, text, "run them", "leave them"):
            return
        needed = upstream(stage.stage) & set(self._unfinished(STAGES)) | set(stages)
        self._start(tuple(name for name in STAGES if name in needed), stages)

    @work
    async def action_cancel(self) -> None:
        """Asks, then asks the stage to stop; a stage that is stopping already is killed."""
        from tui.processes.slurm import stop

        stage = self.snapshot.at_work if self.snapshot else None
        name = stage.stage if stage else "the run"
        if stage is None or stage.state != "stopping":
            text = "What is finished stays, and Resume goes on from the last checkpoint."
            if not await self._agrees(f"Stop {name}?", text, "stop it", "let it run"):
                return
        try:
            if not await asyncio.to_thread(stop, self._run):
                self.notify("nothing is running", markup=False)
        except HeadwaterError as error:
            self.complain(error)
        await self.look()

    def _unfinished(self, stages: Iterable[str]) -> tuple[str, ...]:
        """Those that are not up to date."""
        states = {stage.stage: stage.state for stage in self._stages}
        return tuple(name for name in stages if states.get(name) != "done")

    async def _may_take_long(self, title: str, stages: Sequence[str]) -> bool:
        """Whether work may begin: a person is asked where it takes long, or may."""
        told = await self._foreseen(stages)
        if told is None or not told.is_long:
            return told is not None
        return await self._agrees(title, told.text, "run it", "not now")

    async def _foreseen(self, stages: Sequence[str]) -> Foreseen | None:
        """What is known of the work; None where the run cannot be read, which is said."""
        from tui.readers.foreseen import foreseen

        named = [stage for stage in self._stages if stage.stage in stages]
        try:
            return await asyncio.to_thread(foreseen, self._run, named)
        except HeadwaterError as error:
            self.complain(error)
            return None

    async def _agrees(self, title: str, text: str, yes: str, no: str) -> bool:
        from tui.screens.dialogs.confirm import ConfirmDialog

        answer: bool = await self.app.push_screen_wait(ConfirmDialog(title, text, yes, no))
        return answer

    @property
    def _stages(self) -> tuple[StageStatus, ...]:
        return self.snapshot.stages if self.snapshot else ()

    @work
    async def _start(self, stages: tuple[str, ...], again: tuple[str, ...] = ()) -> None:
        from tui.processes.launcher import start_stages

        if self._starting:  # a key that is held down asks again and again
            return
        self._starting = True
        try:
            await asyncio.to_thread(start_stages, self._run, stages, again)
            await self.look()
        except HeadwaterError as error:
            self.complain(error)
        finally:
            self._starting = False


def choices(snapshot: RunSnapshot | None) -> dict[str, bool]:
    """Actions that make sense at some times only."""
    known = snapshot.stages if snapshot and snapshot.is_whole else ()
    states = {stage.state for stage in known if not stage.unasked}
    working = snapshot is not None and snapshot.working
    at_rest = not working and bool(states)
    return {
        "run_all": at_rest and states != {"done"},
        "run_stage": at_rest,
        "from_here": at_rest,
        "resume": at_rest and bool(states & {"failed", "cancelled", "lost", "stale"}),
        "cancel": working,
    }
