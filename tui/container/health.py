"""Whether the container can do what it was started for: 0 = healthy, 1 = not, with the reason."""

from __future__ import annotations

import argparse
import http.client
import os
import sys
from contextlib import closing
from pathlib import Path

from tui.printed.output import echo
from tui.readers.mounts import nearest
from tui.runs_folder import default_runs

_FIRST = Path("/proc/1/cmdline")
_ANYWHERE = ("0.0.0.0", "::")
_PATIENCE_S = 5


def main() -> int:
    """The folder of the runs can be read, and a dashboard for browsers answers."""
    try:
        os.listdir(nearest(default_runs()))
        if address := served(_FIRST.read_text().split("\0")):
            _ask(*address)
    except (OSError, http.client.HTTPException) as error:
        echo(f"unhealthy: {error}")
        return 1
    return 0


def served(command: list[str]) -> tuple[str, int] | None:
    """Host and port at which `headwater serve` listens; None where another verb is run."""
    if "serve" not in command:
        return None
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    told, _ = parser.parse_known_args(command[command.index("serve") + 1 :])
    return ("127.0.0.1" if told.host in _ANYWHERE else told.host), told.port


def _ask(host: str, port: int) -> None:
    """Any answer will do, also that a token is missing."""
    with closing(http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)) as connection:
        connection.request("HEAD", "/")
        connection.getresponse()


if __name__ == "__main__":
    sys.exit(main())
