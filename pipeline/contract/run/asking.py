"""The protocol between a screen and the worker that traces new prompts: JSON lines over a socket.

A worker belongs to one run, keeps the model warm and answers one question after the other. Its
address lies in the run, its socket where only the same account reaches it.

Request:  {"prompt": str, "completion": str | null, "top": int}
Replies:  {"type": "text", "text": str}                 a piece of the model's answer
          {"type": "written", "text": str}              a conversation as the template writes it
          {"type": "list", "exact": bool, "rows": [Row, …]}     first by the index, then exact
          {"type": "error", "message": str, "hint": str}
          {"type": "done"}
Row:      the fields of `AskedExample`
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
from typing import Any

from pipeline.contract.children import ASKING
from pipeline.contract.errors import CancelledError, HeadwaterError, UsageError
from pipeline.contract.files import Json, read_object
from pipeline.contract.run.detached import start_detached
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.locks import has_open
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

_STARTUP_S = 120.0
_STOP_S = 5.0
_CALLED_OFF_S = 0.5
"""How long a worker that has no question yet may take over ending."""


@dataclass(frozen=True)
class Query:
    """A prompt, and the completion to trace; None = the model's own greedy answer."""

    prompt: str
    completion: str | None = None
    top: int = 10

    def validated(self) -> Query:
        """Returns the query unchanged if it can be traced.

        Raises:
            UsageError: there is nothing to trace.
        """
        if not self.prompt.strip():
            raise UsageError("the prompt is empty", "write what the model is to go on from")
        if self.completion is not None and not self.completion.strip():
            raise UsageError(
                "the completion is empty", "leave it out to trace the model's own answer"
            )
        return self


@dataclass(frozen=True)
class AskedExample:
    """An example behind an answer."""

    rank: int
    example_id: str
    """Begins with + where the text was added to the index: the model was not trained on it."""
    document_id: str
    text: str
    source: str
    row: int
    score: float
    """As in the run's own ranking."""
    raw: float
    """Influence, not normalized."""


@dataclass(frozen=True)
class AnswerPart:
    """A piece of the model's answer."""

    text: str


@dataclass(frozen=True)
class Written:
    """The question as the model's chat template writes it; of runs on conversations only."""

    text: str


@dataclass(frozen=True)
class ExampleList:
    """The examples behind the answer: first by the index, then exact."""

    exact: bool
    rows: tuple[AskedExample, ...]


Reply = AnswerPart | Written | ExampleList
_KINDS: dict[str, type[AnswerPart | Written]] = {"text": AnswerPart, "written": Written}


def reply_json(reply: Reply) -> dict[str, object]:
    """A reply as it goes over the socket."""
    kind = next((name for name, kind in _KINDS.items() if isinstance(reply, kind)), "list")
    return {"type": kind, **asdict(reply)}


def _reply(value: Any) -> Reply:
    """The same back.

    Raises:
        ValueError: a worker of another version wrote it.
    """
    try:
        if kind := _KINDS.get(value["type"]):
            return kind(value["text"])
        return ExampleList(value["exact"], tuple(AskedExample(**row) for row in value["rows"]))
    except (KeyError, TypeError) as error:
        raise ValueError("it speaks another version's language") from error


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
                    yield _reply(value)
        except (OSError, ValueError) as error:
            raise HeadwaterError(f"the worker does not answer: {error}") from error
    raise HeadwaterError("the worker ended before it had answered", "logs/ask.log in the run")


def start_worker(run: RunDir, wanted: Callable[[], bool] = lambda: True) -> WorkerAddress:
    """Returns the run's worker, starting one if there is none; it outlives its caller.

    Raises:
        CancelledError: it was not `wanted` any more before it was up.
        HeadwaterError: it did not come up.
    """
    if address := WorkerAddress.read(run):
        return address
    log = run.log("ask")
    begin = log.stat().st_size if log.exists() else 0
    process = start_detached(ASKING, str(run.root.resolve()), log=log)
    deadline = time.monotonic() + _STARTUP_S
    while time.monotonic() < deadline:
        if address := WorkerAddress.read(run):
            return address
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
def worker(run: RunDir) -> Iterator[WorkerAddress]:
    """Lends the run's worker; one that was started for the block ends with it.

    Raises:
        HeadwaterError: it did not come up.
    """
    was_there = WorkerAddress.read(run) is not None
    try:
        yield start_worker(run)
    finally:
        if not was_there:
            stop_worker(run)


def socket_path(folder: Path) -> Path:
    """The socket on which a worker listens; its path may have at most 107 bytes."""
    return folder / "socket"
