"""The list of runs, read again every second or two."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipeline.contract.run.run_dir import RunDir, list_runs
from tui.readers.run_facts import (
    Figures,
    RunFacts,
    figures_key,
    figures_of,
    remarks_of,
    state_of,
    time_of,
)
from tui.readers.run_filter import EVERYTHING, Filter
from tui.readers.run_reader import RunReader, RunSnapshot

Column = Literal[
    "run",
    "state",
    "stage",
    "model",
    "data",
    "train loss",
    "val loss",
    "MRR",
    "LDS",
    "tags",
    "note",
    "age",
    "size",
]
COLUMNS: tuple[Column, ...] = get_args(Column)
"""In the order in which they stand side by side."""
SPECIAL: tuple[Column, ...] = ("MRR", "LDS", "tags", "note")
"""Columns that are left out where no run has anything for them."""
_NOTHING = (None, "", ())

_SIZE_GOOD_FOR_S = 60.0
_GOOD_FOR_S = 20.0
"""For how long the last look at a run at rest is good, where its files tell nothing new."""
_LOOK_S = 0.4
"""After this long a look shows what it has."""
_FIGURES_S = 0.1
"""What figures are given at the least, however long it took to see that nothing else is new."""


@dataclass(frozen=True)
class RunRow:
    """A run in the list of runs."""

    run: RunDir
    snapshot: RunSnapshot
    facts: RunFacts

    @property
    def name(self) -> str:
        """The run's name, as it was at the last look: to ask the disk for it again and again takes
        most of the time in which a thousand runs are sorted."""
        return self.facts.run

    @property
    def size(self) -> int | None:
        """Bytes on the disk; None where they have not been counted yet."""
        return self.facts.size


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
        self._facts: dict[Path, RunFacts] = {}
        self._figures: dict[Path, tuple[tuple[object, ...], Figures]] = {}
        """By run: what they are of, and the figures."""
        self._unfigured: set[Path] = set()
        """Runs whose stages have found something that was not read yet."""
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
        self._unfigured &= self._seen.keys()
        deadline = time.monotonic() + _LOOK_S
        for run in sorted(runs, key=lambda run: run.root in self._seen):
            self._read_one(run)
            if time.monotonic() > deadline:
                break
        if len(self._seen) == len(runs):  # the list comes first
            self._read_figures(max(deadline, time.monotonic() + _FIGURES_S))
        in_part = sum(snapshot.read_share < 1 for snapshot, _, _ in self._seen.values())
        self.unread = len(runs) - len(self._seen) + in_part + len(self._unfigured)
        self._measure_one(runs)
        return [
            RunRow(run, self._seen[run.root][0], self._facts[run.root])
            for run in runs
            if run.root in self._seen
        ]

    def _read_one(self, run: RunDir) -> None:
        stamp, now = _stamp(run), time.monotonic()
        seen = self._seen.get(run.root)
        whole = seen is not None and not seen[0].working and seen[0].read_share == 1
        if not whole or seen is None or seen[1] != stamp or now - seen[2] > _GOOD_FOR_S:
            read_at = now + random.random() * _GOOD_FOR_S / 2  # not all of them at once again
            self._seen[run.root] = (self._readers[run.root].read(), stamp, read_at)
            self._gather(run)

    def _read_figures(self, deadline: float) -> None:
        """Of as many runs as there is time for, once all of them are in the list."""
        for root in list(self._unfigured):
            if time.monotonic() > deadline:
                break
            stages = self._seen[root][0].stages
            self._figures[root] = (figures_key(stages), figures_of(RunDir(root), stages))
            self._gather(RunDir(root))

    def _gather(self, run: RunDir) -> None:
        """Puts together what is known of a run. Not at every look: most of a thousand rest."""
        snapshot = self._seen[run.root][0]
        state, stage = state_of(snapshot.stages)
        self._facts[run.root] = RunFacts(
            run=snapshot.name,
            state=state,
            stage=stage,
            model=snapshot.model,
            data=snapshot.data,
            figures=self._figures_now(run, snapshot),
            remarks=remarks_of(run),
            time=time_of(run, snapshot.last_time),
            size=self._sizes.get(run.root, (0.0, None))[1],
        )

    def _figures_now(self, run: RunDir, snapshot: RunSnapshot) -> Figures:
        """The figures, with the losses as the training tells them, unless it is out of date."""
        wanted = figures_key(snapshot.stages)
        key, found = self._figures.get(run.root, ((), Figures()))
        self._unfigured.discard(run.root)
        if key != wanted:
            found = Figures()
            self._unfigured |= {run.root} if wanted else set()
        training = snapshot.stage("train")
        if training is not None and training.state == "stale":
            return found
        loss, train_loss = snapshot.validation_loss.last, snapshot.loss.last
        return replace(
            found,
            loss=found.loss if loss is None else loss,
            train_loss=found.train_loss if train_loss is None else train_loss,
        )

    def _measure_one(self, runs: Sequence[RunDir]) -> None:
        """Counts the bytes of the run that was counted longest ago: one a look, to stay cheap."""
        oldest = min(runs, key=lambda run: self._sizes.get(run.root, (0.0, 0))[0], default=None)
        if oldest is None:
            return
        then = self._sizes.get(oldest.root, (-_SIZE_GOOD_FOR_S, 0))[0]
        if time.monotonic() - then >= _SIZE_GOOD_FOR_S:
            self._sizes[oldest.root] = (time.monotonic(), folder_size(oldest.root))
            if oldest.root in self._seen:
                facts = self._facts[oldest.root]
                self._facts[oldest.root] = replace(facts, size=self._sizes[oldest.root][1])


def _stamp(run: RunDir) -> tuple[tuple[int, int], ...]:
    """Changes with whatever happens in a run: who works in it writes `state.json` first."""
    marks = []
    for file in (run.settings, run.prompts, run.state, run.events, run.remarks):
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
    kept: Filter = EVERYTHING,
    column: Column = "age",
    reverse: bool = False,
    pinned: Collection[str] = (),
) -> list[RunRow]:
    """The rows that a filter keeps, sorted by a column, the pinned ones first.

    Runs of which the column knows nothing come last either way.
    """
    shown = [row for row in rows if kept(row.facts)]
    shown.sort(key=lambda row: _key(row.facts, column), reverse=reverse)
    shown.sort(key=lambda row: value_of(row.facts, column) in _NOTHING)
    return sorted(shown, key=lambda row: row.name not in pinned)


def value_of(facts: RunFacts, column: Column) -> float | str | tuple[str, ...] | None:
    """What a column shows of a run; None or empty where that is not known."""
    match column:
        case "run" | "state" | "stage" | "model" | "data" | "size":
            value: float | str | None = getattr(facts, column)
            return value
        case "train loss":
            return facts.figures.train_loss
        case "val loss":
            return facts.figures.loss
        case "MRR":
            return facts.figures.mrr
        case "LDS":
            return facts.figures.lds
        case "tags":
            return facts.remarks.tags
        case "note":
            return facts.remarks.note
        case "age":
            return facts.time


def known_columns(rows: Sequence[RunRow]) -> frozenset[Column]:
    """Of the columns that not every folder of runs has something for, those for which it has."""
    known = (c for c in SPECIAL if any(value_of(row.facts, c) not in _NOTHING for row in rows))
    return frozenset(known)


_HIGHEST_FIRST: tuple[Column, ...] = ("MRR", "LDS", "age", "size")


def _key(facts: RunFacts, column: Column) -> tuple[float, str]:
    """Losses from the lowest, what is better higher from the highest, newest and largest first."""
    value = value_of(facts, column)
    if isinstance(value, int | float):
        return (-value if column in _HIGHEST_FIRST else value), ""
    text = " ".join(value) if isinstance(value, tuple) else value or ""
    return 0.0, text.casefold()
