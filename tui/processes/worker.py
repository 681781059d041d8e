"""Starts workers in the foreground that help the stages of a run, one after the other."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from pipeline.contract.children import child_environment, worker_command
from pipeline.contract.errors import CancelledError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.status import StageStatus, run_status
from pipeline.contract.run.workers import POLL_S, SHARED_STAGES, Offer, read_offer
from pipeline.contract.settings.loading import load_settings


def offers(run: RunDir) -> Iterator[tuple[str, Offer] | None]:
    """What there is to help with, again and again: the stage and its offer; None where a stage is
    still to come. Ends when no stage that can be helped is."""
    while True:
        found = [(stage, offer) for stage in SHARED_STAGES if (offer := read_offer(run, stage))]
        if not found and not any(
            map(_is_to_come, run_status(run, load_settings(run.settings), {}))
        ):
            return
        yield found[0] if found else None
        time.sleep(POLL_S)


def _is_to_come(status: StageStatus) -> bool:
    """Whether a stage that can be helped will run: one that only some ask for, if it is at work or
    waits for its turn."""
    if status.stage not in SHARED_STAGES or status.state == "done":
        return False
    return not status.optional or status.at_work or status.state == "queued"


def help_stage(stage: str, run: RunDir) -> int:
    """Works for the stage until it ends; the exit code of the worker."""
    command = worker_command(stage, str(run.root))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=child_environment()) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has sent it to the worker as well
            process.terminate()
            return CancelledError.exit_code
