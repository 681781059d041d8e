"""Opens the dashboard in the terminal, if there is one."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from pipeline.contract.errors import UsageError
from pipeline.contract.run.run_dir import RunDir
from tui.runs_folder import command_to_open

_ESCAPE_MS = "200"


def open_dashboard(runs: Path, run: RunDir | None) -> None:
    """Opens the dashboard and ends the program with its exit code.

    Raises:
        UsageError: there is no terminal to open it in.
    """
    if not has_terminal():
        hint = (
            "`docker run -it` and `ssh -t` give one; "
            "without: `headwater demo --no-tui`, `headwater run`, `headwater status`"
        )
        raise UsageError("the dashboard needs a terminal", hint)
    sys.exit(_run_dashboard(runs, run))


def has_terminal() -> bool:
    """Whether stdin, stdout and stderr are terminals, or a browser stands for one.

    Keys come from stdin, Textual draws on stderr, and the demo's summary goes to stdout.
    """
    served = "web_driver" in os.environ.get("TEXTUAL_DRIVER", "")
    return served or all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _run_dashboard(runs: Path, run: RunDir | None) -> int:
    """Shows a run, or the list of runs; gives the exit code."""
    # the parts of an arrow key may come apart on a slow line: the first would count as Esc
    os.environ.setdefault("ESCDELAY", _ESCAPE_MS)  # Textual reads it when it is imported
    from tui.app import HeadwaterApp  # textual takes a quarter of a second to import
    from tui.person.user import User

    app = HeadwaterApp(runs, run, User.of(os.environ))
    gc.freeze()  # what was imported stays: the collector need not look at it again
    app.run()
    if app.return_code == 0:
        from tui.printed.output import echo  # Click is not needed before the first paint

        for busy in app.at_work():
            message = f"{busy.name} is still at work: `{command_to_open(busy)}` comes back"
            echo(message, err=True)
    return app.return_code or 0
