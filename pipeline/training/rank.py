"""One of a training's further processes: `python -m pipeline.training.rank RUN_DIR MEETING PID`.

MEETING is the file by which the processes find each other, PID the stage's process, without which
this one ends. Events, checkpoints and results are the stage's; to a checkpoint it adds the state of
its own random numbers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path

from pipeline.contract.errors import CancelledError, HeadwaterError
from pipeline.contract.files import lenient_output
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.libraries import restrain_libraries
from pipeline.training.faults import tell

_PR_SET_PDEATHSIG = 1


def main(run: RunDir, meeting: Path, stage: int) -> int:
    """Trains with the stage that started it; returns the exit code."""
    _end_with(stage)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the stage hears it, and all stop at one step
    lenient_output()
    restrain_libraries()  # the stage has set the number of threads
    try:
        settings = load_settings(run.settings)
        from pipeline.stages.train import help_train

        help_train(settings, run, meeting)
        return 0
    except KeyboardInterrupt:
        return CancelledError.exit_code
    except Exception as error:
        if isinstance(error, HeadwaterError):
            print(error, file=sys.stderr)
        else:
            traceback.print_exc()
        return tell(error, int(os.environ["RANK"]), meeting, run)


def _end_with(stage: int) -> None:
    """Has the kernel kill this process when the stage's ends, even while it waits for others."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != stage:  # it has ended meanwhile
        sys.exit(CancelledError.exit_code)


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])))
