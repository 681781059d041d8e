"""New runs from the list of runs: the demo, and a person's own text."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import work

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir, run_path
from tui.readers.clean import clean
from tui.screens.dialogs.confirm import ConfirmDialog
from tui.screens.mixins.view import View

_DEMO = (
    "A small model learns made-up facts from 1,425 documents, and is asked which document taught "
    "it each. About three minutes on two cores, 1.5 GiB of memory, 100 MiB on the disk."
)


class MakingRuns(View[None]):
    """What makes runs out of nothing; `_runs` is the folder that they lie in."""

    _runs: Path

    def name_fault(self, name: str) -> str:
        """What is wrong with a new run's name, or nothing."""
        try:
            taken = run_path(self._runs, name).root.exists()
        except HeadwaterError as error:
            return error.message
        return f"there is a run {name!r} already" if taken else ""

    def show_run(self, run: RunDir) -> None:
        """Opens a run."""
        raise NotImplementedError

    @work(name="action_demo")
    async def start_demo(self) -> None:
        """Starts the demo, if a person wants it."""
        question = ConfirmDialog("Start the demo?", _DEMO, "start it", "not now")
        if not await self.app.push_screen_wait(question):
            return
        run = run_path(self._runs, "demo")
        try:
            await asyncio.to_thread(_make_demo, run)
        except HeadwaterError as error:
            self.complain(error)
        else:
            self.show_run(run)

    @work
    async def action_new(self) -> None:
        """Makes a run of a person's own text; nothing has run in it yet."""
        from tui.screens.dialogs.new_run import NewRun, NewRunForm

        wanted: NewRun | None = await self.app.push_screen_wait(NewRunForm(self.name_fault))
        if wanted is None:
            return
        run = run_path(self._runs, wanted.name)
        try:
            await asyncio.to_thread(_make, run, wanted.profile, wanted.text, wanted.model)
        except HeadwaterError as error:
            self.complain(error)
            return
        self.show_run(run)
        ready = (
            "{run.prompts} edits its prompts, which are samples; {run.settings} its settings; "
            "{run.run_all} runs it"
        )
        self.notify(clean(self.told(ready)), markup=False)


def _make_demo(run: RunDir) -> None:
    from pipeline.contract.run.new_run import write_run
    from pipeline.contract.run.stages import GROUPS
    from pipeline.contract.settings.demo import demo_settings
    from pipeline.contract.settings.profiles import render_settings
    from tui.processes.launcher import start_stages

    write_run(run, render_settings(demo_settings(0)), origin=run.settings)
    start_stages(run, GROUPS["all"])


def _make(run: RunDir, profile: str, text: Path, model: str) -> None:
    from pipeline.contract.run.new_run import write_run
    from pipeline.contract.settings.profiles import own_settings, render_settings, starter_prompts

    settings = own_settings(profile, str(text.resolve()), model)
    # paths that a person writes are relative to where they are
    write_run(
        run,
        render_settings(settings),
        origin=Path.cwd() / "settings.toml",
        prompts=starter_prompts(settings),
    )
