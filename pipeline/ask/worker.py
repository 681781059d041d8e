"""The process that keeps a run's model warm: `python -m pipeline.ask.worker RUN_DIR`.

Answers one question after the other until it is asked to stop or its run is no longer the one that
it loaded: deleted, moved, or indexed anew.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.contract.errors import CancelledError, HeadwaterError
from pipeline.contract.files import write_json
from pipeline.contract.results.written import require_whole
from pipeline.contract.run import freshness
from pipeline.contract.run.asking import WorkerAddress, socket_path, write_phase
from pipeline.contract.run.history import remember
from pipeline.contract.run.launchers import drop_launchers
from pipeline.contract.run.locks import open_lock, take_lock
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.replies import AnswerPart, AnswerTokens, Query, reply_json
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import load_settings
from pipeline.libraries import do_without, restrain_libraries

_PATIENCE_S = 5.0
"""How long a client that has connected may say nothing."""
_LOOK_S = 0.25
"""How often it looks whether its run is still there, and whether it has to stop."""
_LOCK_S = 3.0
"""How long a worker that was asked to end may still hold the lock."""


def main(run: RunDir) -> int:
    """Serves until it has to end; gives the exit code."""
    stop = _Stop()
    drop_launchers(os.environ)  # before any library looks
    restrain_libraries()
    do_without(
        "scipy"
    )  # half as long to import as PyTorch; transformers' loss of detectors needs it
    try:
        with _only_worker(run), tempfile.TemporaryDirectory(prefix="headwater-") as folder:
            _serve(run, Path(folder), stop)
    except CancelledError:
        pass
    except HeadwaterError as error:
        print("; ".join(filter(None, (error.message, error.hint))), flush=True)
        return error.exit_code
    return 0


def _serve(run: RunDir, folder: Path, stop: _Stop) -> None:
    def say(phase: str) -> None:
        if stop.wanted:
            raise CancelledError("stopped on request")
        write_phase(run, phase)

    settings = load_settings(run.settings)
    _require_fresh(run)
    index = _index(run)
    try:
        say("checking the files")
        _require_whole(run)
        say("loading the libraries")
        from pipeline.ask.asker import Asker  # torch is loaded only where there is something to do

        asker = Asker(settings, run, say)
    finally:
        write_phase(run, "")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(socket_path(folder)))
        listening.listen()
        listening.settimeout(_LOOK_S)
        address = WorkerAddress(
            ProcessIdentity.of(os.getpid()), str(socket_path(folder)), index or ""
        )
        write_json(run.ask_address, address.asdict())
        try:
            while _index(run) == index and not stop.wanted:
                with suppress(TimeoutError):
                    connection, _ = listening.accept()
                    with connection, suppress(ConnectionError):  # who asked may be gone
                        _answer(run, asker, connection)
        finally:
            run.ask_address.unlink(missing_ok=True)


def _require_fresh(run: RunDir) -> None:
    """Raises HeadwaterError unless the index is of the settings and results of now."""
    if not freshness.is_fresh("index", load_settings(run.settings), run):
        raise HeadwaterError(
            f"there is no index of {run.name} that is up to date",
            f"`headwater run index --run {run.name}` makes one",
        )


def _require_whole(run: RunDir) -> None:
    """Raises MissingResultError or DamagedResultError unless the model, the examples, the factors
    and the index are those that the stages wrote."""
    for stage in ("index", *STAGES["index"].needs):
        require_whole(run, stage)


def _answer(run: RunDir, asker: Any, connection: socket.socket) -> None:
    """Reads a question and sends what it brings."""

    def send(value: dict[str, object]) -> None:
        connection.sendall(json.dumps(value).encode() + b"\n")

    def say(text: str) -> None:
        send(reply_json(AnswerPart(text)))

    connection.settimeout(_PATIENCE_S)
    with connection.makefile(encoding="utf-8") as lines:
        line = lines.readline()
    connection.settimeout(None)
    if not line:
        return
    try:
        _require_fresh(run)  # the settings may have changed since the last question
        question = Query(**json.loads(line))
        for reply in asker.replies(question, say):
            if isinstance(reply, AnswerTokens):
                remember(run, question, "".join(reply.tokens))
            send(reply_json(reply))
        send({"type": "done"})
    except HeadwaterError as error:
        send({"type": "error", "message": error.message, "hint": error.hint})


def _index(run: RunDir) -> str | None:
    """Which index the run has now."""
    done = freshness.Done.read("index", run)
    return done.id if done else None


@contextmanager
def _only_worker(run: RunDir) -> Iterator[None]:
    """Holds the run's worker lock.

    Raises:
        HeadwaterError: another worker has it.
    """
    lock = open_lock(run.ask_lock)
    try:
        deadline = time.monotonic() + _LOCK_S
        while not take_lock(lock, run.root):
            if time.monotonic() > deadline:
                raise HeadwaterError("another process is answering already")
            time.sleep(0.05)
        yield
    finally:
        os.close(lock)


class _Stop:
    """Whether somebody asked the process to end."""

    def __init__(self) -> None:
        self.wanted = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _signal: int, _frame: object) -> None:
        """Asked once, it ends between two questions; asked twice, in the midst of one."""
        if self.wanted:
            raise CancelledError("stopped on request")
        self.wanted = True


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1]))))
