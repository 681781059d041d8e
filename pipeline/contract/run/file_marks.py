"""Marks of files outside the run, which tell whether they are those that a stage has read.

A file's mark is its size and the time of its last change: no file is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contract.run.stages import STAGES

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

Marks = dict[str, tuple[int, int]]
"""Files → (bytes, mtime in ns)."""
OutsideMarks = dict[str, dict[str, Marks]]
"""What a stage reads outside the run, "sources" and "model_files" → the path that the settings name
→ the marks of its files; none where nothing lies there."""


def outside_marks(stage: str, settings: Settings) -> OutsideMarks:
    """Marks of all files outside the run that the stage reads, as they are now."""
    spec = STAGES[stage]
    read = {"sources": spec.outside_files(settings), "model_files": spec.models(settings)}
    return {kind: {path: file_marks(path) for path in paths} for kind, paths in read.items()}


def all_files(marks: OutsideMarks) -> dict[str, Marks]:
    """The same without the paths that the settings name."""
    return {
        kind: {file: mark for found in named.values() for file, mark in found.items()}
        for kind, named in marks.items()
    }


def same_files(now: OutsideMarks, then: Mapping[str, Any]) -> bool:
    """Whether the files are those of `then`, as JSON has them; a kind that is None there is not
    known, and counts as the same.

    Where nothing lies at a path now there is nothing to compare: the run was copied to another
    machine, or a disk is not mounted.
    """
    for kind, named in now.items():
        there = [path for path, found in named.items() if found]
        known = then.get(kind)
        if isinstance(known, dict):
            known = {file: _mark(known[file]) for file in known if _is_below(file, there)}
        if known not in (None, all_files(now)[kind]):
            return False
    return True


def _mark(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def file_marks(path: str) -> Marks:
    """Marks of the file at the path, or of all files below the folder."""
    marks: Marks = {}
    for file in _files_below(path) if os.path.isdir(path) else [str(Path(path))]:
        with suppress(OSError):  # gone meanwhile, or in a folder that may not be entered
            status = os.stat(file)
            if stat.S_ISREG(status.st_mode):
                marks[file] = (status.st_size, status.st_mtime_ns)
    return marks


def _files_below(folder: str) -> Iterator[str]:
    """Files of the folder, also by links to other folders; each folder once."""
    met: set[tuple[int, int]] = set()
    for here, folders, names in os.walk(Path(folder), followlinks=True):
        try:
            status = os.stat(here)
        except OSError:  # gone meanwhile
            continue
        if (status.st_dev, status.st_ino) in met:
            folders.clear()
            continue
        met.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (os.path.join(here, name) for name in sorted(names))


def _is_below(file: str, paths: Iterable[str]) -> bool:
    return any(file == path or file.startswith(os.path.join(path, "")) for path in paths)
