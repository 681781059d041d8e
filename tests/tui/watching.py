"""Waiting for what a screen shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from pipeline.contract.files import write_json
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tui.screens.mixins.renewing import Renewing


def screen_text(app: App[Any]) -> str:
    """What the screen shows, as text."""
    size = app.size
    strips = app.screen._compositor.render_strips()
    assert all(strip.cell_length == size.width for strip in strips)
    return "\n".join(strip.text for strip in strips)


def stands_on(app: App[Any], kind: type[Screen[Any]]) -> bool:
    """Whether a screen of this kind is shown: asked anew each time, unlike isinstance of a field,
    which a type checker takes to hold until the end of the test."""
    return isinstance(app.screen, kind)


PATIENCE_S = 60.0
"""How long a screen may take on a machine that is busy with something else."""


async def until(
    pilot: Pilot[None], true: Callable[[], object], seconds: float = PATIENCE_S
) -> None:
    """Waits for the screen to show something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await pilot.pause()
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain; the screen shows\n{screen_text(pilot.app)}")


async def until_shown(pilot: Pilot[None], text: str, seconds: float = PATIENCE_S) -> None:
    """Waits for a text on the screen."""

    def shown() -> bool:
        screen = screen_text(pilot.app)
        return text in screen or text in " ".join(screen.split())

    await until(pilot, shown, seconds)


class Threads:
    """Counts what `asyncio.to_thread` has begun and not yet given back: a screen that reads."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.busy = 0
        to_thread = asyncio.to_thread

        async def counted(*arguments: Any, **named: Any) -> Any:
            self.busy += 1
            try:
                return await to_thread(*arguments, **named)
            finally:
                self.busy -= 1

        patch.setattr(asyncio, "to_thread", counted)

    async def settled(self, pilot: Pilot[None]) -> None:
        """Waits until the screen has shown what a key made it read."""
        await pilot.pause()
        await until(pilot, lambda: not self.busy)
        await pilot.pause()


class Looks:
    """Counts how often screens have looked for newer results, which they then do all the time."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._count = 0
        finishes = Renewing._finishes

        def counted(screen: Renewing) -> dict[str, int]:
            self._count += 1
            return finishes(screen)

        patch.setattr(Renewing, "_finishes", counted)
        patch.setattr("tui.screens.mixins.renewing._INTERVAL_S", 0.05)

    async def again(self, pilot: Pilot[None]) -> None:
        """Waits until what is there now has been looked at, and what came of it is shown."""
        enough = self._count + 2  # the first may have begun before
        await until(pilot, lambda: self._count > enough)


def at_work(folder: Path, name: str = "training") -> RunDir:
    """A run that this process holds, as a supervisor in the middle of training would."""
    run = sample_run.new_run(folder, name)
    sample_run.finish(run, "prepare")
    sample_run.train_events(run, done=0.42)
    acquire_lock(run)
    write_json(run.state, sample_run.supervising("train", ("train", "factors")))
    return run
