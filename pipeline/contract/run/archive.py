"""Archives, restores and deletes runs, but never one that a process works in."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.contract.errors import UsageError, disk_errors_explained
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir

_ARCHIVE = ".archive"
"""Beside the runs. No run can have this name: a run's begins with a letter or a digit."""


def archive_of(runs: Path) -> Path:
    """The folder of the archived runs."""
    return runs / _ARCHIVE


def archive(run: RunDir) -> RunDir:
    """Moves a run into the archive and returns it at its new path.

    Raises:
        RunBusyError: something is working in it.
        UsageError: there is one of that name in the archive already.
    """
    return _move(run, archive_of(run.root.parent))


def restore(run: RunDir) -> RunDir:
    """Moves a run out of the archive and returns it at its new path.

    Raises:
        UsageError: there is one of that name among the runs.
    """
    return _move(run, run.root.parent.parent)


def delete(run: RunDir) -> None:
    """Deletes a run for good; renamed first, so that no half-deleted folder is listed as a run.

    Raises:
        RunBusyError: something is working in it.
        UsageError: it is a link to a folder elsewhere.
    """
    if run.root.is_symlink():
        raise UsageError(f"{run.root} is a link; delete what it points to by hand")
    doomed = run.root.with_name(f".deleted-{run.root.name}-{secrets.token_hex(4)}")
    with disk_errors_explained(run.root), nothing_at_work(run):
        run.root.rename(doomed)
        shutil.rmtree(doomed)


def _move(run: RunDir, folder: Path) -> RunDir:
    target = folder / run.root.name
    with disk_errors_explained(folder), nothing_at_work(run):
        folder.mkdir(exist_ok=True)
        if os.path.lexists(target):
            raise UsageError(f"there is a run {run.root.name!r} in {folder} already")
        run.root.rename(target)
    return RunDir(target)


@contextmanager
def nothing_at_work(run: RunDir) -> Iterator[None]:
    """Holds the run's lock, so that nothing can start in it meanwhile."""
    lock = acquire_lock(run, wait_s=0.2)
    try:
        yield
    finally:
        os.close(lock)
