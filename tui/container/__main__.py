"""The first program of a container, below its init: `python -m tui.container ARGUMENTS`.

It says what the container was started without, runs `headwater ARGUMENTS`, and stays for as long as
stages are at work that were started in this container: when the first program ends, the kernel
kills all others. SIGTERM, as `docker stop` sends it, asks the stages to stop; they go on later from
their checkpoints.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import DamagedResultError
from pipeline.contract.files import lenient_output
from pipeline.contract.run.processes import SupervisorState, is_locked, request_cancel
from pipeline.contract.run.run_dir import RunDir, list_runs
from tui.container.lacks import messages, not_kept, other_caches
from tui.printed.narration import follow, from_now
from tui.printed.output import echo
from tui.runs_folder import NOTICE, WAY_IN, command_to_open, default_runs

_ASKING = {"doctor", "keys", "--help", "--version"}
"""Arguments by which nothing is started that could lack anything; the doctor says it itself."""
_POLL_S = 0.1
_LEAVING_S = 10.0


class _Stopped(BaseException):
    """The container is to end."""


def main(arguments: Sequence[str]) -> int:
    """Gives the exit code of `headwater`, or of the stages that outlived it."""
    lenient_output()
    runs = _runs_of(arguments)
    os.environ.update(_way_in(os.environ))
    if not _ASKING & set(arguments):
        _warn(runs)
    child = None
    try:
        signal.signal(signal.SIGTERM, _stop)
        for number in (signal.SIGINT, signal.SIGHUP):  # the child gets its own; this one stays
            signal.signal(number, _nothing)
        child = subprocess.Popen(python_command("-m", "tui", *arguments), env=child_environment())
        code = child.wait()
        return _stay(runs) or (code if code >= 0 else 128 - code)
    except _Stopped:
        _end(runs, child)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:  # while nothing was followed yet
        _end(runs, child)
        return 128 + signal.SIGINT


def _runs_of(arguments: Sequence[str]) -> Path:
    """The folder of the runs, as the command line that is handed on names it."""
    match arguments:
        case ["--runs", folder, *_]:
            return Path(folder)
        case [first, *_] if first.startswith("--runs="):
            return Path(first.removeprefix("--runs="))
    return default_runs()


def _way_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The command by which a person comes into this container from outside."""
    engine = environment.get("container", "docker")  # Podman sets it
    if engine not in ("docker", "podman"):
        return {}
    host = socket.gethostname()
    name = host if re.fullmatch("[0-9a-f]{12}", host) else "CONTAINER"
    return {WAY_IN: f"{engine} exec -it {name} "}


def _warn(runs: Path) -> None:
    caches, told = other_caches(os.environ)
    os.environ.update(caches)
    if notice := not_kept(runs):
        os.environ[NOTICE] = notice
    for message in filter(None, [*messages(runs, os.environ), told]):
        echo(f"headwater: {message}", err=True)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


def _nothing(_signal: int, _frame: FrameType | None) -> None:
    """A handler, unlike SIG_IGN, is not handed down."""


def _stay(runs: Path) -> int:
    """Prints the progress of the stages at work until none is; gives the last code of a failure."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    while busy := _at_work(runs):
        echo(
            f"{busy[0].name} is still at work, and the container stays until it is done: "
            f"`{command_to_open(busy[0])}` opens the dashboard again, Ctrl-C stops the stages",
            err=True,
        )
        code = follow(busy[0], from_now(busy[0])) or code
    return code


def _end(runs: Path, child: subprocess.Popen[bytes] | None) -> None:
    """Asks the stages to stop and waits for them, as for the child, which the init has asked."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _nothing)
    stopped = {run.name: run for run in _at_work(runs)}
    for run in stopped.values():
        _ask_to_stop(run)
    with suppress(subprocess.TimeoutExpired):
        if child:
            child.wait(_LEAVING_S)  # a dashboard gives the terminal back
    for name in stopped:
        echo(f"stopping {name}: its stage writes down how far it came", err=True)
    while _at_work(runs):
        time.sleep(_POLL_S)
    for name in stopped:
        echo(f"stopped; `headwater resume {name}` goes on", err=True)


def _at_work(runs: Path) -> list[RunDir]:
    """The runs that processes of this container work in; others may share the folder."""
    return [run for run in list_runs(runs) if is_locked(run) and _is_here(run)]


def _is_here(run: RunDir) -> bool:
    with suppress(DamagedResultError, OSError):
        state = SupervisorState.read(run)
        return state is not None and state.supervisor.is_here()
    return False


def _ask_to_stop(run: RunDir) -> None:
    """By a signal, which takes no room on a full disk; a stage without supervisor by a request."""
    state = SupervisorState.read(run)
    if state and state.supervisor.is_alive():
        os.kill(state.supervisor.pid, signal.SIGTERM)
    else:
        request_cancel(run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
