"""What a stage reports while it works: one JSON object a line in `events.jsonl`.

A line is appended with one write, so several readers can follow while a stage
writes, and a reader only ever has to hold back a torn last line.

A line is `{"type": …, "stage": …, "time": …}` and the further fields of that type of event; `time`
is in seconds since the epoch.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple, get_type_hints

from pipeline.contract.files import NO_FILE, Json, json_text, open_regular
from pipeline.contract.run.span import Span

_PROGRESS_INTERVAL_S = 0.5
_PART_BYTES = 512 << 10

# Events are named tuples: a long run has millions, which a frozen dataclass takes 2.6 times as long
# to make, and their classes are made while a person waits for the first screen.


class Started(NamedTuple):
    """The stage's process is up."""

    stage: str
    time: float
    attempt: int
    """1 = for the first time."""


class Progress(NamedTuple):
    """What the stage is doing, and how much of it is done."""

    stage: str
    time: float
    done: float
    total: float
    """Of the phase, in units; 0 = not known."""
    unit: str = ""
    phase: str = ""
    eta: float | None = None
    """Seconds until the end of the stage's work, where they can be estimated."""
    share: float | None = None
    """Of all that the stage does, from 0 to 1; it never falls. None in runs of earlier versions."""


class Metric(NamedTuple):
    """One point of a curve, such as the loss at an optimiser step."""

    stage: str
    time: float
    name: str
    value: float
    step: int
    unit: str = ""


class Memory(NamedTuple):
    """The stage's own memory in bytes: resident on the host, and torch's on the accelerator."""

    stage: str
    time: float
    rss: int
    allocated: int = 0
    reserved: int = 0
    peak: int = 0


class Note(NamedTuple):
    """What the stage found or chose."""

    stage: str
    time: float
    message: str


class Warned(NamedTuple):
    """Something that a person should know and that does not stop the stage."""

    stage: str
    time: float
    message: str


class Finished(NamedTuple):
    """The stage has written `done.json`."""

    stage: str
    time: float
    seconds: float


class Failed(NamedTuple):
    """The stage gave up; `message` and `hint` are for a person."""

    stage: str
    time: float
    message: str
    hint: str = ""
    exit_code: int = 1


class Cancelled(NamedTuple):
    """The stage stopped because somebody asked."""

    stage: str
    time: float
    message: str


Event = Started | Progress | Metric | Memory | Note | Warned | Finished | Failed | Cancelled

_TYPES: dict[str, type[Event]] = {
    "started": Started,
    "progress": Progress,
    "metric": Metric,
    "memory": Memory,
    "note": Note,
    "warning": Warned,
    "finished": Finished,
    "failed": Failed,
    "cancelled": Cancelled,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}


class EventWriter:
    """Appends the events of one stage; progress is thinned to two lines a second."""

    def __init__(self, path: Path, stage: str) -> None:
        self._stage = stage
        self._file = path.open("ab", buffering=0)
        self._close = weakref.finalize(self, self._file.close)
        _end_torn_line(path, self._file)
        self._last_progress = 0.0
        self._phase = ""
        self._span = Span()

    def _write(self, kind: type[Event], *values: Any) -> None:
        event = kind(self._stage, round(time.time(), 3), *values)
        record = {"type": _NAMES[kind], **event._asdict()}
        self._file.write((json_text(record) + "\n").encode())

    def started(self, attempt: int) -> None:
        """Reports that the stage's process is up."""
        self._write(Started, attempt)

    def plan(self, weights: Mapping[str, float]) -> None:
        """Tells before the first progress which phases come, in order, and how much work each is:
        the stage's bar goes once from 0 to 1 over all of them. A stage of one phase needs none."""
        self._span = Span(weights)

    def doing(self, phase: str) -> None:
        """Reports what the stage does now, where nothing can be counted."""
        self.progress(0, 0, "", phase)

    def progress(self, done: float, total: float, unit: str, phase: str) -> None:
        """Reports `done` of `total` units (0 = not known) of a phase, and the time left."""
        now = time.monotonic()
        self._span.reach(phase, done, total, now)
        is_between = phase == self._phase and done != total
        if is_between and now - self._last_progress < _PROGRESS_INTERVAL_S:
            return
        self._phase, self._last_progress = phase, now
        left = self._span.left(now)
        eta = None if left is None else round(left, 1)
        self._write(Progress, done, total, unit, phase, eta, round(self._span.share, 4))

    def metric(self, name: str, value: float, step: int, unit: str = "") -> None:
        """Reports a point of a curve, such as the loss at an optimiser step."""
        self._write(Metric, name, value, step, unit)

    def memory(self, rss: int, allocated: int = 0, reserved: int = 0, peak: int = 0) -> None:
        """Reports the stage's own memory in bytes: on the host, and torch's on the accelerator."""
        self._write(Memory, rss, allocated, reserved, peak)

    def note(self, message: str) -> None:
        """Reports what the stage found or chose, in its log as well."""
        self._write(Note, message)
        print(message, flush=True)

    def warning(self, message: str) -> None:
        """Reports something that a person should know and that does not stop the stage."""
        self._write(Warned, message)

    def finished(self, seconds: float) -> None:
        """Reports that the stage has written `done.json`."""
        self._write(Finished, round(seconds, 2))

    def failed(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        """Reports that the stage gave up; `message` and `hint` are for a person."""
        self._write(Failed, message, hint, exit_code)

    def cancelled(self, message: str) -> None:
        """Reports that the stage stopped because somebody asked."""
        self._write(Cancelled, message)

    def close(self) -> None:
        """Closes the file, as the end of the writer itself does."""
        self._close()


def _end_torn_line(path: Path, file: IO[bytes]) -> None:
    """A writer killed in mid-line leaves no newline: the next event must not join that line."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as existing:
        existing.seek(-1, os.SEEK_END)
        if existing.read(1) != b"\n":
            file.write(b"\n")


class EventReader:
    """Follows an event file: each `read()` returns what is new since the last one.

    Tolerates a file that does not exist yet, a torn last line, truncation and replacement.
    """

    def __init__(self, path: Path, kinds: Sequence[type[Event]] = tuple(_NAMES)) -> None:
        """`kinds`: what is read; the lines of others are passed over, which takes little time."""
        self._path = path
        self._passed_over = tuple(
            f'{{"type": "{name}",'.encode() for name, kind in _TYPES.items() if kind not in kinds
        )
        self._offset = 0
        self._inode = 0
        self.share = 1.0
        """How much of the file was read."""

    def skip(self) -> None:
        """Passes over everything that is whole by now, without reading it."""
        try:
            with open_regular(self._path) as file:
                status = os.fstat(file.fileno())
                begin = max(0, status.st_size - _PART_BYTES)
                file.seek(begin)
                end = file.read().rpartition(b"\n")
        except OSError as error:
            if error.errno in NO_FILE:
                return
            raise
        self._inode, self._offset = status.st_ino, begin + len(end[0]) + len(end[1])

    def read(self, limit: int = -1) -> list[Event]:
        """Returns the complete events that were appended since the last call.

        `limit`: stop at the first line end after so many bytes, to read a long file in parts.
        """
        try:
            with open_regular(self._path) as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self._inode, self._offset = status.st_ino, 0
                file.seek(self._offset)
                chunk = file.read(limit) + (file.readline() if limit >= 0 else b"")
        except OSError as error:
            if error.errno in NO_FILE:
                return []
            raise
        whole, newline, _torn = chunk.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        self.share = self._offset / max(1, status.st_size)
        return list(self._parse(whole))

    def parts(self) -> Iterator[list[Event]]:
        """As `read`, a part after the other: a long file is never in memory as a whole."""
        before = -1
        while self._offset != before:
            before = self._offset
            yield self.read(_PART_BYTES)

    def stream(self) -> Iterator[Event]:
        """As `parts`, each event for itself."""
        return chain.from_iterable(self.parts())

    def _parse(self, text: bytes) -> Iterator[Event]:
        passed_over, lines = self._passed_over, text.splitlines()
        return _events([line for line in lines if not line.startswith(passed_over)])


def _events(lines: list[bytes]) -> Iterator[Event]:
    for record in _records(lines):
        try:
            form = _FORMS.get(record["type"])
        except (KeyError, TypeError):
            continue
        if form and (event := form.event(record)):  # a newer version has other types, too
            yield event


def _records(lines: list[bytes]) -> list[Any]:
    """What the lines hold; all in one go, which takes half the time, where each is whole."""
    together = _loaded(b"[" + b",".join(lines) + b"]")
    if together is not None and len(together) == len(lines):
        return list(together)
    # a line was cut short by a full disk; the next ones are whole again
    return [record for line in lines if (record := _loaded(line)) is not None]


def _loaded(text: bytes) -> Any:
    """What JSON holds; None where it is none."""
    try:
        return json.loads(text.decode())  # of bytes it would guess the encoding
    except (ValueError, RecursionError):
        return None


_MISSING = object()


class _Form:
    """Reads the events of one type; checked by C functions, for there are millions."""

    def __init__(self, kind: type[Event]) -> None:
        hints = get_type_hints(kind)
        self._kind = kind
        self._defaults = dict.fromkeys(kind._fields, _MISSING) | kind._field_defaults
        self._values = itemgetter(*kind._fields)
        self._types = [_json_types(hints[name]) for name in kind._fields]

    def event(self, record: Json) -> Event | None:
        """Returns the event, or None where a field is missing or of another type."""
        try:
            values = self._values(record)
        except KeyError:
            values = self._values({**self._defaults, **record})
        # what is missing without a default is none of the types
        return self._kind(*values) if all(map(isinstance, values, self._types)) else None


def _json_types(hint: Any) -> tuple[type, ...]:
    """The Python types of JSON values that a field may have: 2 is a float as well as 2.0."""
    return {float: (float, int), float | None: (float, int, type(None))}.get(hint, (hint,))


_FORMS = {name: _Form(kind) for name, kind in _TYPES.items()}
