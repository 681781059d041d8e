"""The protocol between a screen and the worker that traces new prompts: JSON lines over a socket.

A worker belongs to one run, keeps the model warm and answers one question after the other. Its
address lies in the run, its socket where only the same account reaches it.

What they say to each other is in `replies.py`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.contract.children import ASKING
from pipeline.contract.errors import CancelledError, HeadwaterError
from pipeline.contract.files import Json, read_object, read_text, write_text
from pipeline.contract.run.detached import start_detached
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.locks import has_open
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.replies import Query, Reply, reply_of
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

_STARTUP_S = 120.0
_STOP_S = 5.0
_CALLED_OFF_S = 0.5
"""How long a worker that has no question yet may take over ending."""


@dataclass(frozen=True)
class WorkerAddress:
    """The content of `ask.json`: the worker's process and socket."""

    process: ProcessIdentity
    socket: str
    index: str
    """The finish of the index that it has loaded."""

    @classmethod
    def read(cls, run: RunDir) -> WorkerAddress | None:
        """The address of the run's worker if it is alive, holds the run's lock for workers and has
        loaded the current index."""
        value = read_object(run.ask_address)
        if value is None:
            return None
        try:
            process = require_types(ProcessIdentity(**value.pop("process")))
            address = require_types(cls(process=process, **value))
        except (KeyError, TypeError):
            return None
        index = Done.read("index", run)
        is_current = index is not None and index.id == address.index
        is_worker = process.is_alive() and has_open(process.pid, run.ask_lock)
        return address if is_current and is_worker else None

    def asdict(self) -> Json:
        """The address as a dict that can be written as JSON."""
        return asdict(self)


def ask(
    address: WorkerAddress, question: Query, connection: socket.socket | None = None
) -> Iterator[Reply]:
    """Sends a query and yields the worker's replies as they come, without the last "done".

    Who gives the connection, a Unix socket, ends the question by shutting it down.

    Raises:
        UsageError: the question is empty.
        HeadwaterError: the worker has no answer, or is gone.
    """
    question = question.validated()
    with connection or socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address.socket)
            connection.sendall(json.dumps(asdict(question)).encode() + b"\n")
            with connection.makefile(encoding="utf-8") as lines:
                for line in lines:
                    value = json.loads(line)
                    if value["type"] == "done":
                        return
                    if value["type"] == "error":
                        raise HeadwaterError(value["message"], value["hint"])
                    yield reply_of(value)
        except (OSError, ValueError) as error:
            raise HeadwaterError(f"the worker does not answer: {error}") from error
    raise HeadwaterError("the worker ended before it had answered", "logs/ask.log in the run")


def write_phase(run: RunDir, phase: str) -> None:
    """Tells what a starting worker is at; "" once it is up."""
    if phase:
        write_text(run.ask_phase, phase)
    else:
        run.ask_phase.unlink(missing_ok=True)


def read_phase(run: RunDir) -> str:
    """What a starting worker is at; "" where none is starting."""
    try:
        return read_text(run.ask_phase)
    except FileNotFoundError:
        return ""


def start_worker(
    run: RunDir,
    wanted: Callable[[], bool] = lambda: True,
    say: Callable[[str], object] = lambda phase: None,
) -> WorkerAddress:
    """Returns the run's worker, starting one if there is none; it outlives its caller.

    `say` hears what a starting worker is at, whenever that changes: "loading the model".

    Raises:
        CancelledError: it was not `wanted` any more before it was up.
        HeadwaterError: it did not come up.
    """
    if address := WorkerAddress.read(run):
        return address
    log = run.log("ask")
    begin = log.stat().st_size if log.exists() else 0
    process = start_detached(ASKING, str(run.root.resolve()), log=log)
    deadline, phase = time.monotonic() + _STARTUP_S, ""
    while time.monotonic() < deadline:
        if address := WorkerAddress.read(run):
            return address
        if (now := read_phase(run)) not in ("", phase):
            phase = now
            say(phase)
        if process.poll() is not None:
            break
        if not wanted():
            with suppress(ProcessLookupError):  # it is over already
                _end(ProcessIdentity.of(process.pid), _CALLED_OFF_S)
            raise CancelledError("the worker is not wanted any more")
        time.sleep(0.05)
    raise HeadwaterError(f"run {run.name}: {_last_words(run, begin)}")


def _last_words(run: RunDir, begin: int) -> str:
    """The last line that a failed worker wrote to its log."""
    text = run.log("ask").read_bytes()[begin:].decode(errors="replace").strip()
    return text.splitlines()[-1] if text else f"the worker did not start; see {run.log('ask')}"


def stop_worker(run: RunDir) -> bool:
    """Ends the run's worker and returns whether there was one."""
    address = WorkerAddress.read(run)
    if address is None:
        return False
    run.ask_address.unlink(missing_ok=True)  # whoever asks from now on starts another
    _end(address.process, _STOP_S)
    return True


def _end(process: ProcessIdentity, patience_s: float) -> None:
    """Sends SIGTERM twice, then SIGKILL, waiting `patience_s` after each."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        deadline = time.monotonic() + patience_s
        while process.is_alive():
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return


@contextmanager
def worker(
    run: RunDir, say: Callable[[str], object] = lambda phase: None
) -> Iterator[WorkerAddress]:
    """Lends the run's worker; one that was started for the block ends with it. `say` hears what it
    is at while it starts.

    Raises:
        HeadwaterError: it did not come up.
    """
    was_there = WorkerAddress.read(run) is not None
    try:
        yield start_worker(run, say=say)
    finally:
        if not was_there:
            stop_worker(run)


def socket_path(folder: Path) -> Path:
    """The socket on which a worker listens; its path may have at most 107 bytes."""
    return folder / "socket"
