"""The list of runs, read again every second or two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.contract.run_dir import RunDir, list_runs
from tui.readers.run_reader import RunReader, RunSnapshot


@dataclass(frozen=True)
class RunRow:
    """A run in the list of runs."""

    run: RunDir
    snapshot: RunSnapshot
    created: float
    """Seconds since the epoch."""


class RunsReader:
    """Reads every run below a folder, each with a reader of its own that remembers its place."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._readers: dict[Path, RunReader] = {}

    def read(self) -> list[RunRow]:
        """Every run, newest first."""
        try:
            found = list_runs(self._runs)
        except OSError:  # a run was deleted while the list was made; the next look has it right
            return []
        self._readers = {run.root: self._readers.get(run.root) or RunReader(run) for run in found}
        return [row for run in found if (row := self._row(run))]

    def _row(self, run: RunDir) -> RunRow | None:
        try:
            created = run.settings.stat().st_mtime
        except OSError:
            return None
        return RunRow(run, self._readers[run.root].read(), created)
