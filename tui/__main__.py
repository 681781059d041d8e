"""The program `headwater` (`python -m tui`): opens the dashboard or calls the command line.

Settings and Click take as long to import as the whole screen: the dashboard opens without them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.files import lenient_output
from tui.dashboard import open_dashboard
from tui.runs_folder import default_runs, find_run


def main() -> None:
    """Runs the program."""
    lenient_output()
    plain = plain_call(sys.argv[1:])
    if plain is None:
        from tui.cli import main as verbs

        verbs(prog_name="headwater")
        return
    runs, name = plain
    try:
        open_dashboard(runs, find_run(runs, name) if name else None)
    except HeadwaterError as error:
        from tui.printed.output import echo  # the dashboard does not wait for Click

        echo(f"headwater: {error}", err=True)
        sys.exit(error.exit_code)


def plain_call(arguments: Sequence[str]) -> tuple[Path, str] | None:
    """Reads `[--runs DIR] [tui [RUN]]`: the folder of the runs and the name of a run, or "".

    None for anything else, which Click then reads.
    """
    runs, left = str(default_runs()), list(arguments)
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


if __name__ == "__main__":
    main()
