"""The folder that holds the runs, and how a person names a run in it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from pipeline.contract.errors import UsageError
from pipeline.contract.run.run_dir import RunDir, list_runs

RUNS = "runs"
RUNS_VARIABLE = "HEADWATER_RUNS"
WAY_IN = "HEADWATER_WAY_IN"
"""Variable with what stands before a command that is typed outside of this container."""
NOTICE = "HEADWATER_NOTICE"
"""Variable with what the dashboard says when it opens."""


def default_runs() -> Path:
    """The folder that is used where none is named."""
    return Path(os.environ.get(RUNS_VARIABLE) or RUNS)


def find_run(runs: Path, name: str) -> RunDir:
    """Finds a run by its name below `runs`, or by the path of its folder.

    A path has a slash: the folder of the settings that a run was started with may have the run's
    name.

    Raises:
        UsageError: there is no such run; names those that are.
    """
    is_path = os.sep in name or name.startswith(".")
    run = RunDir(Path(name) if is_path else runs / name)
    if run.settings.exists():
        return run
    hint = f"runs: {', '.join(run.name for run in list_runs(runs)) or 'none yet'}"
    if not is_path and RunDir(Path(name)).settings.exists():
        hint += f"; the folder ./{name} is named with its slash"
    raise UsageError(f"there is no run {name!r}" + ("" if is_path else f" in {runs}"), hint)


def folder_beside(run: RunDir, runs: Path) -> Path:
    """Where the runs beside this one lie: `runs`, unless it was named by a path elsewhere."""
    holds = Path(os.path.abspath(run.root)).parent
    return runs if holds == Path(os.path.abspath(runs)) else holds


def command_to_open(run: RunDir) -> str:
    """The command that opens a run again: by its path where it lies elsewhere than usual."""
    root = run.root.resolve()
    is_usual = root.parent == default_runs().resolve()
    name = root.name if is_usual else shlex.quote(str(root))
    return f"{os.environ.get(WAY_IN, '')}headwater tui {name}"
