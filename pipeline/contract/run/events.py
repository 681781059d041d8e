"""What a stage says while it works: one JSON object a line in `events.jsonl`.

A line is appended with one write, so several readers can follow while a stage
writes, and a reader only ever has to hold back a torn last line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, get_args

EventType = Literal[
    "started", "progress", "metric", "memory", "note", "warning", "finished", "failed", "cancelled"
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)

_PROGRESS_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Event:
    """One line of `events.jsonl`.

    `time` is seconds since the epoch. `data` by type:
        started    {"attempt": int}
        progress   {"done": float, "total": float, "unit": str, "phase": str, "eta": float | None}
        metric     {"name": str, "value": float, "unit": str, "step": int}
        memory     {"rss": int, "allocated": int, "reserved": int, "peak": int}   bytes
        note       {"message": str}
        warning    {"message": str}
        finished   {"seconds": float}
        failed     {"message": str, "hint": str, "exit_code": int}
        cancelled  {"message": str}
    """

    type: EventType
    stage: str
    time: float
    data: dict[str, Any] = field(default_factory=dict)


class EventWriter:
    """Appends the events of one stage; progress is thinned to two lines a second."""

    def __init__(self, path: Path, stage: str) -> None:
        self._stage = stage
        self._file = path.open("ab", buffering=0)
        _end_torn_line(path, self._file)
        self._last_progress = 0.0
        self._phase = ""
        self._phase_start = (0.0, 0.0)  # monotonic seconds, units already done then

    def _write(self, type_: EventType, **data: Any) -> None:
        record = {"type": type_, "stage": self._stage, "time": round(time.time(), 3), **data}
        self._file.write((json.dumps(record, ensure_ascii=False) + "\n").encode())

    def started(self, attempt: int) -> None:
        """The stage's process is up."""
        self._write("started", attempt=attempt)

    def progress(self, done: float, total: float, unit: str, phase: str = "") -> None:
        """`done` of `total` units of `phase` are finished (total 0 = not known); adds the ETA."""
        now = time.monotonic()
        if phase != self._phase or self._phase_start[0] == 0.0 or done < self._phase_start[1]:
            self._phase, self._phase_start, self._last_progress = phase, (now, done), 0.0
        if done != total and now - self._last_progress < _PROGRESS_INTERVAL_S:
            return
        self._last_progress = now
        elapsed, worked = now - self._phase_start[0], done - self._phase_start[1]
        eta = round(elapsed / worked * (total - done), 1) if worked > 0 and total else None
        self._write("progress", done=done, total=total, unit=unit, phase=phase, eta=eta)

    def metric(self, name: str, value: float, step: int, unit: str = "") -> None:
        """One reading of a curve, such as the loss at an optimiser step."""
        self._write("metric", name=name, value=value, step=step, unit=unit)

    def memory(self, rss: int, allocated: int = 0, reserved: int = 0, peak: int = 0) -> None:
        """This stage's own memory in bytes: resident on the host, and on the accelerator."""
        self._write("memory", rss=rss, allocated=allocated, reserved=reserved, peak=peak)

    def note(self, message: str) -> None:
        """What the stage found or chose, for whoever reads along; its log tells it too."""
        self._write("note", message=message)
        print(message, flush=True)

    def warning(self, message: str) -> None:
        """Something a person should know that does not stop the stage."""
        self._write("warning", message=message)

    def finished(self, seconds: float) -> None:
        """The stage has written `done.json`."""
        self._write("finished", seconds=round(seconds, 2))

    def failed(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        """The stage gave up; `message` and `hint` are for a person."""
        self._write("failed", message=message, hint=hint, exit_code=exit_code)

    def cancelled(self, message: str) -> None:
        """The stage stopped because somebody asked."""
        self._write("cancelled", message=message)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _end_torn_line(path: Path, file: IO[bytes]) -> None:
    """A writer killed in mid-line leaves no newline: the next event must not join that line."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as existing:
        existing.seek(-1, os.SEEK_END)
        if existing.read(1) != b"\n":
            file.write(b"\n")


class EventReader:
    """Follows an event file: each `read()` gives what is new since the last one.

    Tolerates a file that does not exist yet, a torn last line, truncation and replacement.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0

    def read(self, limit: int = -1) -> list[Event]:
        """Gives the complete events that were appended since the last call.

        `limit`: stop at the first line end after so many bytes, to read a long file in parts.
        """
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self._inode, self._offset = status.st_ino, 0
                file.seek(self._offset)
                chunk = file.read(limit) + (file.readline() if limit >= 0 else b"")
        except FileNotFoundError:
            return []
        whole, newline, _torn = chunk.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return list(_parse(whole))


def _parse(lines: bytes) -> Iterator[Event]:
    for line in lines.splitlines():
        try:
            record = json.loads(line)
            type_, stage, when = record.pop("type"), record.pop("stage"), record.pop("time")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a line cut short by a full disk; the next ones are whole again
        if type_ in EVENT_TYPES:
            yield Event(type_, stage, when, record)
