"""Whether what a stage is known to have written is there."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.results.common import missing, require_same
from pipeline.contract.run.checksums import known_files
from pipeline.contract.run.run_dir import RunDir


def was_written(run: RunDir, stage: str, path: Path) -> bool:
    """Whether the stage wrote a file that it does not always write.

    Raises:
        MissingResultError: it did, and the file is gone.
    """
    if path.exists():
        return True
    if path in known_files(stage, run):
        raise missing(run, stage, path)
    return False


def require_whole(run: RunDir, stage: str) -> None:
    """Checks by sizes and a few blocks all files of a finished stage that others read.

    Raises:
        MissingResultError: one is gone.
        DamagedResultError: one is not what the stage wrote.
    """
    for path in known_files(stage, run):
        if path.is_relative_to(run.checkpoints):
            continue  # only its own stage reads them, and a person may have deleted them
        require_same(run, stage, path)
        if path.is_relative_to(run.stage(stage)) and not path.exists():
            raise missing(run, stage, path)
