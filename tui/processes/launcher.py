"""Starts a run's supervisor so that it outlives the terminal."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection

from pipeline.contract.errors import HeadwaterError, ResourceError, disk_errors_explained
from pipeline.contract.run.detached import start_detached
from pipeline.contract.run.freshness import forget
from pipeline.contract.run.processes import SupervisorState, acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import forget_jobs, refuse_submitted
from tui.processes.slurm import look_now_and_then

_STARTUP_S = 20.0
_LEAST_FREE = 1 << 16
"""Bytes; below this not even the last events find room."""


def start_stages(run: RunDir, stages: tuple[str, ...], again: Collection[str] = ()) -> None:
    """Starts the stages, in this order, in a session of their own; returns once they are owned.

    `again`: those of them that run, from nothing, even where they are up to date.

    Raises:
        RunBusyError: something is working in the run already, or it is submitted to a cluster.
        ResourceError: the disk is full.
        HeadwaterError: the supervisor did not come up.
    """
    with disk_errors_explained(run.root):
        refuse_busy(run)
        forget_jobs(run)
        for stage in again:
            forget(stage, run)
        log = run.log("supervisor")
        process = start_detached("pipeline.supervisor", str(run.root), *stages, log=log)
    deadline = time.monotonic() + _STARTUP_S
    while time.monotonic() < deadline:
        state = SupervisorState.read(run)
        if state and state.supervisor.pid == process.pid:
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    refuse_full_disk(run)
    raise HeadwaterError(
        f"run {run.name}: the supervisor did not start", f"see {run.log('supervisor')}"
    )


def refuse_full_disk(run: RunDir) -> None:
    """Explains a failure that a process could not write down because the disk was full.

    Raises:
        ResourceError: the run's disk takes no more.
    """
    if shutil.disk_usage(run.root).free < _LEAST_FREE:
        hint = f"free some space, then `headwater resume {run.name}` goes on"
        raise ResourceError(f"disk full: {run.root} takes no more", hint)


def refuse_busy(run: RunDir) -> None:
    """Refuses a run that something works in, or that is submitted to a cluster.

    Raises:
        RunBusyError: it is.
    """
    look_now_and_then(run, every_s=0.0)
    refuse_submitted(run)
    os.close(acquire_lock(run, wait_s=0.0))
