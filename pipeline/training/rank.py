"""One of the further processes of a training: `python -m pipeline.training.rank RUN_DIR MEETING`.

MEETING is the file by which the processes find each other. Events, checkpoints and results are the
stage's; to a checkpoint it adds the state of its own random numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.files import lenient_output
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.libraries import restrain_libraries


def main(run: RunDir, meeting: Path) -> int:
    """Trains with the stage that started it; returns the exit code."""
    lenient_output()
    restrain_libraries()  # the stage has set the number of threads
    try:
        settings = load_settings(run.settings)
        from pipeline.stages.train import help_train

        help_train(settings, run, meeting)
        return 0
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1])), Path(sys.argv[2])))
