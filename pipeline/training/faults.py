"""What ended one of a training's further processes, told to the stage that started it.

It writes its fault beside the file by which the processes meet: the connections that it leaves tell
the others only that it is gone.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.contract.errors import HeadwaterError, RetryableError, error_of, exhausted
from pipeline.contract.files import read_object, write_json
from pipeline.contract.run.run_dir import RunDir


def tell(error: Exception, rank: int, meeting: Path, run: RunDir) -> int:
    """Writes down what ends this process, and gives its exit code."""
    known = error if isinstance(error, HeadwaterError) else exhausted(error, run.root)
    if known is None:
        words = f"{type(error).__name__}: {error}"
        known = HeadwaterError(words, f"the traceback is in {run.log('train')}")
    write_json(_fault(meeting, rank), {**known.record(), "time": time.monotonic()})
    return known.exit_code


def what_ended(
    processes: Sequence[subprocess.Popen[bytes]], meeting: Path, run: RunDir
) -> HeadwaterError:
    """The fault to which others, whose connections it broke, are due; `processes`: those of the
    ranks from 1 on, of which one or more have ended."""
    codes = [process.poll() or 0 for process in processes]
    if (killed := min(codes)) < 0:
        return RetryableError(
            f"a process of the training was killed by {signal.Signals(-killed).name}",
            "the machine may have run out of memory; running train again goes on from the last "
            "checkpoint",
        )
    ranks = range(1, len(processes) + 1)
    told = [fault for rank in ranks if (fault := read_object(_fault(meeting, rank)))]
    if not told:
        return HeadwaterError(
            "a process of the training ended before it began",
            f"the reason is in {run.log('train')}",
        )
    error = error_of(min(told, key=lambda fault: fault["time"]))
    return type(error)(f"a process of the training failed: {error.message}", error.hint)


def _fault(meeting: Path, rank: int) -> Path:
    return meeting.with_name(f"fault-{rank}.json")
