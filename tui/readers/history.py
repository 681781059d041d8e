"""A run's events so far, kept small however many there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.run.events import Event, EventReader
from pipeline.contract.run.run_dir import RunDir
from tui.readers.curve import Curve

_CHUNK_BYTES = 512 << 10
_WARNINGS_KEPT = 100
_ENDINGS = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class StageMemory:
    """A stage's own memory in bytes: on the host, and on the accelerator where it has one."""

    rss: int
    allocated: int = 0
    reserved: int = 0
    peak: int = 0


@dataclass
class _Attempt:
    """The events of a stage's last attempt that say how it stands."""

    started: Event
    warnings: deque[Event] = field(default_factory=lambda: deque(maxlen=_WARNINGS_KEPT))
    progress: Event | None = None
    ending: Event | None = None

    def events(self) -> list[Event]:
        """In the order in which a reader of the whole file would see them end."""
        return [self.started, *self.warnings, *filter(None, (self.progress, self.ending))]


class RunHistory:
    """Follows `events.jsonl`: curves of every metric, memory, and each stage's last attempt."""

    def __init__(self, run: RunDir) -> None:
        self._reader = EventReader(run.events)
        self._attempts: dict[str, _Attempt] = {}
        self._curves: dict[tuple[str, str], Curve] = {}
        self.memory: dict[str, StageMemory] = {}
        self.count = 0
        """Events taken in."""

    def update(self) -> None:
        """Takes in what was appended since the last time."""
        while events := self._reader.read(_CHUNK_BYTES):
            self.count += len(events)
            for event in events:
                self._take(event)

    def curve(self, stage: str, name: str) -> Curve:
        """The readings of a stage's metric; empty where there are none yet."""
        return self._curves.setdefault((stage, name), Curve())

    def metrics(self) -> dict[tuple[str, str], Curve]:
        """Every curve that has readings, by stage and name."""
        return {key: curve for key, curve in self._curves.items() if curve.version}

    def telling(self) -> list[Event]:
        """The few events that `run_status` needs."""
        return [event for attempt in self._attempts.values() for event in attempt.events()]

    def warnings(self) -> dict[str, str]:
        """Stage → the last warning of its last attempt."""
        return {
            stage: str(attempt.warnings[-1].data.get("message"))
            for stage, attempt in self._attempts.items()
            if attempt.warnings
        }

    def _take(self, event: Event) -> None:
        if event.type == "started":
            self._attempts[event.stage] = _Attempt(event)
            self.memory.pop(event.stage, None)
        elif event.type == "metric":
            self._take_metric(event)
        elif event.type == "memory":
            self.memory[event.stage] = _memory(event.data)
        else:
            self._take_word(self._attempts.setdefault(event.stage, _Attempt(event)), event)

    def _take_metric(self, event: Event) -> None:
        step, value = event.data.get("step"), event.data.get("value")
        if isinstance(step, int | float) and isinstance(value, int | float):
            self.curve(event.stage, str(event.data.get("name"))).append(step, value)

    def _take_word(self, attempt: _Attempt, event: Event) -> None:
        if event.type == "warning":
            attempt.warnings.append(event)
        elif event.type == "progress":
            attempt.progress = event
        elif event.type in _ENDINGS:
            attempt.ending = event


def _memory(data: Mapping[str, Any]) -> StageMemory:
    numbers = [data.get(name) for name in ("rss", "allocated", "reserved", "peak")]
    return StageMemory(*(n if isinstance(n, int) else 0 for n in numbers))
