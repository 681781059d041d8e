"""Supervisor, stage and dashboard killed or suspended at once, with the real processes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.contract.run.events import EventReader, Progress
from pipeline.contract.run.processes import SupervisorState, is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.status import run_status
from pipeline.contract.settings.loading import load_settings
from tests.faults.corruption import verb
from tests.faults.kills import Undisturbed
from tests.tui.terminals import Terminal
from tui.processes.launcher import start_stages

PATIENCE_S = 120


def survive_all_killed(whole: Undisturbed, root: Path, rng: random.Random) -> str:
    """Trains, kills all that work in the run after some steps, resumes, and compares.

    Gives what was lost; "" if nothing was.
    """
    run, steps = whole.again("train", root), rng.randint(1, 5)
    start_stages(run, ("train",))
    dashboard = Terminal("--runs", str(run.root.parent), "tui", "run")
    try:
        until(lambda: steps_done(run) >= steps)
        state = SupervisorState.read(run)
        assert state
        assert state.stage_process
        pids = [dashboard.process.pid, state.supervisor.pid, state.stage_process.pid]
        rng.shuffle(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return f"after {steps} steps: the stage had ended before it could be killed"
    finally:
        dashboard.close()
    until(lambda: not is_locked(run))
    states = {one.stage: one.state for one in run_status(run, load_settings(run.settings))}
    if states["train"] != "lost":
        return f"after {steps} steps: train is called {states['train']}"
    told = verb(run, "resume", "run")
    wrong = whole.differs(run)
    if told.exit_code or wrong:
        return f"after {steps} steps: exit code {told.exit_code}, other results {wrong}"
    return ""


@contextmanager
def suspended(run: RunDir) -> Iterator[None]:
    """Context in which what works in a run does not go on."""
    state = SupervisorState.read(run)
    assert state
    assert state.stage_process
    pids = (state.supervisor.pid, state.stage_process.pid)
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def survive_suspension(whole: Undisturbed, root: Path) -> str:
    """Trains, stops all processes that work in the run, as a laptop does that is closed, and lets
    them go on.

    Gives what was lost; "" if nothing was.
    """
    run = whole.again("train", root)
    start_stages(run, ("train",))
    until(lambda: steps_done(run) >= 1)
    with suspended(run):
        states = {one.stage: one.state for one in run_status(run, load_settings(run.settings))}
    until(lambda: not is_locked(run))
    if states["train"] != "running":
        return f"train is called {states['train']} while it is suspended"
    return ", ".join(whole.differs(run))


def steps_done(run: RunDir) -> float:
    """Steps of the training so far."""
    events = EventReader(run.events).read()
    done = [one.done for one in events if isinstance(one, Progress) and one.unit == "steps"]
    return max(done, default=0)


def until(condition: Callable[[], object]) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
