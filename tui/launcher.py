"""Starts a run's supervisor so that it outlives the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from pipeline.contract.errors import HeadwaterError, disk_errors_explained
from pipeline.contract.processes import SupervisorState, acquire_lock
from pipeline.contract.run_dir import RunDir

_STARTUP_S = 20.0


def start_stages(run: RunDir, stages: tuple[str, ...]) -> None:
    """Starts the stages, in this order, in a session of their own; returns once they are owned.

    Raises:
        RunBusyError: something is working in the run already.
        HeadwaterError: the supervisor did not come up.
    """
    with disk_errors_explained(run.root):
        _refuse_if_busy(run)
        run.log("supervisor").parent.mkdir(exist_ok=True)
        with run.log("supervisor").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.supervisor", str(run.root), *stages],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    deadline = time.monotonic() + _STARTUP_S
    while time.monotonic() < deadline:
        state = SupervisorState.read(run)
        if state and state.supervisor.pid == process.pid:
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise HeadwaterError(
        f"run {run.name}: the supervisor did not start", f"see {run.log('supervisor')}"
    )


def _refuse_if_busy(run: RunDir) -> None:
    os.close(acquire_lock(run, wait_s=0.0))
