"""`headwater`: the dashboard at once, everything else by `cli.py`.

Settings and Click take as long to import as the whole screen: the dashboard opens without them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.run.run_dir import RunDir, list_runs

RUNS = "runs"
RUNS_VARIABLE = "HEADWATER_RUNS"


def main() -> None:
    """The program."""
    plain = plain_call(sys.argv[1:])
    if plain is None:
        from tui.cli import main as verbs

        verbs()
        return
    runs, name = plain
    try:
        open_dashboard(runs, existing(runs, name) if name else None)
    except HeadwaterError as error:
        print(f"headwater: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def plain_call(arguments: Sequence[str]) -> tuple[Path, str] | None:
    """Folder of the runs and name of a run (or ""), where only the dashboard is asked for.

    `[--runs DIR] [tui [RUN]]`; None for anything else, which Click then reads.
    """
    runs, left = os.environ.get(RUNS_VARIABLE) or RUNS, list(arguments)
    if left[:1] == ["--runs"] and len(left) > 1:
        runs, left = left[1], left[2:]
    if any(argument.startswith("-") for argument in (runs, *left)):
        return None
    match left:
        case [] | ["tui"]:
            return Path(runs), ""
        case ["tui", name]:
            return Path(runs), name
        case _:
            return None


def open_dashboard(runs: Path, run: RunDir | None) -> None:
    """Opens the dashboard and ends the program with its exit code.

    Raises:
        UsageError: there is no terminal to open it in.
    """
    if not has_terminal():
        hint = "without one: `headwater demo --no-tui`, `headwater run`, `headwater status`"
        raise UsageError("the dashboard needs a terminal", hint)
    from tui.app import run_dashboard  # textual takes a quarter of a second to import

    sys.exit(run_dashboard(runs, run))


def has_terminal() -> bool:
    """Keys come from stdin, Textual draws on stderr, and the demo's summary goes to stdout.

    A browser that is served stands for a terminal.
    """
    served = "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")
    return served or all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def existing(runs: Path, name: str) -> RunDir:
    """A run by its name below `runs`, or by the path of its folder, which has a slash: the folder
    of the settings that a run was started with may have the run's name.

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
