"""The list of runs, read again every second or two."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pipeline.contract.run.run_dir import RunDir, list_runs
from tui.readers.run_reader import RunReader, RunSnapshot
from tui.readers.words import holds

Column = Literal["age", "run", "state", "stage", "loss", "size"]
COLUMNS: tuple[Column, ...] = get_args(Column)

_SIZE_GOOD_FOR_S = 60.0
_GOOD_FOR_S = 20.0
"""For how long the last look at a run at rest is good, where its files tell nothing new."""
_LOOK_S = 0.4
"""After this long a look shows what it has."""


@dataclass(frozen=True)
class RunRow:
    """A run in the list of runs."""

    run: RunDir
    snapshot: RunSnapshot
    created: float
    """Seconds since the epoch."""
    size: int | None = None
    """Bytes on the disk; None where they have not been counted yet."""

    @property
    def name(self) -> str:
        """The run's name, as it was at the last look: to ask the disk for it again and again takes
        most of the time in which a thousand runs are sorted."""
        return self.snapshot.name

    @property
    def state(self) -> str:
        """The state of the stage that says most about the run."""
        return self.snapshot.headline_stage.state if self.snapshot.headline_stage else "settings"

    @property
    def stage(self) -> str:
        """The stage that says most about the run."""
        return self.snapshot.headline_stage.stage if self.snapshot.headline_stage else ""


class RunsReader:
    """Reads every run below a folder, each with a reader of its own that remembers its place.

    A run at rest is read again when one of its files tells that something has happened, and now
    and then whatever they tell: hundreds of runs cost little while nothing works in them.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._readers: dict[Path, RunReader] = {}
        self._seen: dict[Path, tuple[RunSnapshot, object, float]] = {}
        """By run: the last look, what its files looked like then, and when that was."""
        self._sizes: dict[Path, tuple[float, int]] = {}
        self.unread = 0
        """Runs that the last look had no time for, or too little: another is wanted at once."""

    def read(self) -> list[RunRow]:
        """Every run that was read so far, newest first."""
        try:
            runs = list_runs(self._runs)
        except OSError:  # not a folder that can be read, now
            return []
        self._readers = {run.root: self._readers.get(run.root) or RunReader(run) for run in runs}
        self._seen = {root: seen for root, seen in self._seen.items() if root in self._readers}
        deadline = time.monotonic() + _LOOK_S
        for run in sorted(runs, key=lambda run: run.root in self._seen):
            self._read_one(run)
            if time.monotonic() > deadline:
                break
        in_part = sum(snapshot.read_share < 1 for snapshot, _, _ in self._seen.values())
        self.unread = len(runs) - len(self._seen) + in_part
        self._measure_one(runs)
        return [row for run in runs if (row := self._row(run))]

    def _read_one(self, run: RunDir) -> None:
        stamp, now = _stamp(run), time.monotonic()
        seen = self._seen.get(run.root)
        whole = seen is not None and not seen[0].working and seen[0].read_share == 1
        if not whole or seen is None or seen[1] != stamp or now - seen[2] > _GOOD_FOR_S:
            read_at = now + random.random() * _GOOD_FOR_S / 2  # not all of them at once again
            self._seen[run.root] = (self._readers[run.root].read(), stamp, read_at)

    def _row(self, run: RunDir) -> RunRow | None:
        try:
            created = run.settings.stat().st_mtime
        except OSError:
            return None
        if run.root not in self._seen:
            return None
        size = self._sizes.get(run.root, (0.0, None))[1]
        return RunRow(run, self._seen[run.root][0], created, size)

    def _measure_one(self, runs: Sequence[RunDir]) -> None:
        """Counts the bytes of the run that was counted longest ago: one a look, to stay cheap."""
        oldest = min(runs, key=lambda run: self._sizes.get(run.root, (0.0, 0))[0], default=None)
        if oldest is None:
            return
        then = self._sizes.get(oldest.root, (-_SIZE_GOOD_FOR_S, 0))[0]
        if time.monotonic() - then >= _SIZE_GOOD_FOR_S:
            self._sizes[oldest.root] = (time.monotonic(), folder_size(oldest.root))


def _stamp(run: RunDir) -> tuple[tuple[int, int], ...]:
    """Changes with whatever happens in a run: who works in it writes `state.json` first."""
    marks = []
    for file in (run.settings, run.prompts, run.state, run.events):
        with suppress(OSError):
            status = file.stat()
            marks.append((status.st_mtime_ns, status.st_size))
    return tuple(marks)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed, what vanishes is left out."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_size(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total


def arrange(
    rows: Sequence[RunRow],
    words: str = "",
    column: Column = "age",
    reverse: bool = False,
    pinned: Collection[str] = (),
) -> list[RunRow]:
    """The rows that hold every word, sorted by a column, the pinned ones first.

    A word is looked for in name, state and stage. Runs without a figure come last either way.
    """
    kept = [row for row in rows if holds(_text(row), words)]
    kept.sort(key=lambda row: _key(row, column), reverse=reverse)
    kept.sort(key=lambda row: _unknown(row, column))
    return sorted(kept, key=lambda row: row.name not in pinned)


def _text(row: RunRow) -> str:
    return f"{row.name} {row.state} {row.stage}"


def _unknown(row: RunRow, column: Column) -> bool:
    if column == "loss":
        return row.snapshot.loss.last is None
    return column == "size" and row.size is None


def _key(row: RunRow, column: Column) -> tuple[float, str]:
    match column:
        case "run":
            return 0.0, row.name.casefold()
        case "state":
            return 0.0, row.state
        case "stage":
            return 0.0, row.stage
        case "loss":
            return row.snapshot.loss.last or 0.0, ""
        case "size":
            return -(row.size or 0), ""
        case "age":
            return -row.created, ""
