"""Waiting for what a screen shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import sample_run
from textual.pilot import Pilot

from pipeline.contract.files import write_json
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
from tui.app import HeadwaterApp


def screen_text(app: HeadwaterApp) -> str:
    """What the screen shows, as text."""
    size = app.size
    strips = app.screen._compositor.render_strips()
    assert all(strip.cell_length == size.width for strip in strips)
    return "\n".join(strip.text for strip in strips)


async def until(pilot: Pilot[None], true: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for the screen to show something."""
    for _ in range(round(seconds / 0.05)):
        await pilot.pause()
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain; the screen shows\n{screen_text(pilot.app)}")  # type: ignore[arg-type]


async def until_shown(pilot: Pilot[None], text: str, seconds: float = 20.0) -> None:
    """Waits for a text on the screen."""

    def shown() -> bool:
        screen = screen_text(pilot.app)  # type: ignore[arg-type]
        return text in screen or text in " ".join(screen.split())

    await until(pilot, shown, seconds)


def at_work(folder: Path, name: str = "training") -> RunDir:
    """A run that this process holds, as a supervisor in the middle of training would."""
    run = sample_run.new_run(folder, name)
    sample_run.finish(run, "prepare")
    sample_run.train_events(run, done=0.42)
    acquire_lock(run)
    write_json(run.state, sample_run.supervising("train", ("train", "factors")))
    return run
