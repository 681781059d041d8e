"""Runs one stage in this process: `python -m pipeline STAGE RUN_DIR`.

Imports just that stage, turns whatever ends it into an event and an exit code.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.contract.errors import (
    CancelledError,
    HeadwaterError,
    disk_errors_explained,
    exhausted,
)
from pipeline.contract.files import lenient_output
from pipeline.contract.results.written import require_whole
from pipeline.contract.run import freshness
from pipeline.contract.run.events import Event, EventReader, EventWriter, Started
from pipeline.contract.run.launchers import drop_launchers
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from pipeline.libraries import limit_threads, restrain_libraries

_AGAIN_S = 0.05


def main(stage: str, run: RunDir) -> int:
    """Runs the stage unless it is up to date; returns the exit code."""
    # no Exception: libraries catch those, and a stop that they caught would be forgotten
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.default_int_handler)
    lenient_output()
    sys.unraisablehook = _stop_again
    if dropped := drop_launchers(os.environ):  # before any library looks
        print(f"left out of the environment, because a stage is one process: {', '.join(dropped)}")
    starts = list(EventReader(run.events, (Started,)).stream())
    attempts = sum(event.stage == stage for event in starts)
    events = EventWriter(run.events, stage)
    restrain_libraries()
    try:
        with disk_errors_explained(run.root):
            settings = load_settings(run.settings)
            if not freshness.is_fresh(stage, settings, run):
                events.started(attempts + 1)
                events.doing("loading libraries")
                _run(stage, settings, run, events, starts)
        return 0
    except (KeyboardInterrupt, CancelledError):
        events.cancelled("stopped on request")
        return CancelledError.exit_code
    except HeadwaterError as error:
        return _give_up(error, events)
    except Exception as error:
        if lack := exhausted(error, run.root):
            return _give_up(lack, events)
        events.failed(f"{type(error).__name__}: {error}", f"the traceback is in {run.log(stage)}")
        raise


def _give_up(error: HeadwaterError, events: EventWriter) -> int:
    """Says why, where there is room for it, and gives the exit code."""
    with suppress(OSError):  # the exit code alone tells the supervisor
        print(error, file=sys.stderr)
    with suppress(OSError):
        events.failed(error.message, error.hint, error.exit_code)
    return error.exit_code


def _run(
    stage: str, settings: Settings, run: RunDir, events: EventWriter, starts: list[Event]
) -> None:
    _require_upstream(stage, settings, run)
    fingerprint = freshness.begin(stage, settings, run)
    limit_threads(settings)
    begun = time.monotonic()
    with _without_collector():  # after the thread limit: these load torch's libraries
        requirements, memory, module = map(
            importlib.import_module,
            ("pipeline.requirements", "pipeline.memory", f"pipeline.stages.{stage}"),
        )
    requirements.require_all(stage, settings, run, starts)
    with memory.reporting_memory(events):
        module.run(settings, run, events)
    seconds = time.monotonic() - begun
    freshness.finish(stage, fingerprint, settings, run, seconds)
    events.finished(seconds)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Imports without looking for garbage again and again: there is none, and a fifth of the time
    goes into it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _require_upstream(stage: str, settings: Settings, run: RunDir) -> None:
    for name in freshness.RunFreshness(settings, run).unmet(stage):
        hint = f"`headwater run {name} {stage} --run {run.name}` runs both"
        raise HeadwaterError(
            f"{stage} needs {name}, which has not finished with these settings", hint
        )
    for name in STAGES[stage].needs:  # no results of a model or a corpus that was exchanged
        require_whole(run, name)


def _stop_again(lost: sys.UnraisableHookArgs) -> None:
    """Raises an interrupt again that was lost in an object's finalizer."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(lost)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], RunDir(Path(sys.argv[2]))))
