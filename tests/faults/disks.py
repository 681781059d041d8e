"""A small disk that is really full, for tests and scripts/soak; only root can mount one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.contract.errors import ResourceError
from pipeline.contract.run.run_dir import RunDir
from tests.faults.damage import results_of
from tests.faults.kills import Ended, Stages, Undisturbed, results_of_stage

FILLER = "filler"


class NoDiskError(Exception):
    """The system lets nobody mount a disk here; says why."""


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mounts a disk of so many bytes at the folder.

    Raises:
        NoDiskError: mounting is refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoDiskError("there is no `mount`") from None
    if told.returncode:
        raise NoDiskError(told.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def leave(folder: Path, free: int) -> None:
    """Fills the disk but for so many bytes."""
    filler = folder / FILLER
    filler.unlink(missing_ok=True)
    room = shutil.disk_usage(folder).free - free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, room))


@dataclass(frozen=True)
class FullDisk:
    """A stage on a disk with so much room."""

    stage: str
    free: int

    def __str__(self) -> str:
        return f"{self.stage} with {self.free:,} bytes free"


def survive_full_disk(
    stages: Stages, whole: Undisturbed, full: FullDisk, disk: Path
) -> tuple[Ended, str]:
    """Runs a stage on a disk that becomes full, makes room, lets it go on, and compares.

    Gives how it ended on the full disk, and what was lost or not said; "" if nothing was. A stage
    that has room enough ends well.
    """
    (disk / FILLER).unlink(missing_ok=True)
    run = whole.again(full.stage, disk / "copy")
    leave(disk, full.free)
    said_before = len(stages.told())
    ended = stages.run(full.stage, run)
    told = stages.told()[said_before:]
    (disk / FILLER).unlink()
    if ended.code not in (0, ResourceError.exit_code):
        return ended, f"{full}: exit code {ended.code}: {told[-600:]}"
    if ended.code and ("disk full" not in told or "Traceback" in told):
        return ended, f"{full}: it does not say clearly that the disk is full: {told[-600:]}"
    return ended, _goes_on(stages, whole, full, run)


def _goes_on(stages: Stages, whole: Undisturbed, full: FullDisk, run: RunDir) -> str:
    if whole.differs(run):
        return f"{full}: what was finished is spoilt: {whole.differs(run)}"
    last = stages.run(full.stage, run)
    if last.code != 0:
        return f"{full}: it did not go on: exit code {last.code}"
    missing = set(results_of_stage(full.stage, whole)) - set(results_of(run))
    wrong = whole.differs(run)
    return f"{full}: other results: {wrong}, missing {sorted(missing)}" if wrong or missing else ""


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Lets nobody write to a small disk."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
