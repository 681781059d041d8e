"""A run's events so far, kept small however many there are."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pipeline.contract.run.events import (
    Cancelled,
    Event,
    EventReader,
    Failed,
    Finished,
    Memory,
    Metric,
    Progress,
    Started,
    Warned,
)
from pipeline.contract.run.run_dir import RunDir
from tui.readers.curve import Curve

_CHUNK_BYTES = 512 << 10
_WARNINGS_KEPT = 100


@dataclass
class _Attempt:
    """The events of a stage's last attempt that say how it stands."""

    started: Started | None
    warnings: deque[Warned] = field(default_factory=lambda: deque(maxlen=_WARNINGS_KEPT))
    progress: Progress | None = None
    ending: Finished | Failed | Cancelled | None = None

    def events(self) -> list[Event]:
        """In the order in which a reader of the whole file would see them end."""
        events = (self.started, *self.warnings, self.progress, self.ending)
        return [event for event in events if event]


class RunHistory:
    """Follows `events.jsonl`: curves of every metric, memory, and each stage's last attempt."""

    def __init__(self, run: RunDir) -> None:
        self._reader = EventReader(run.events)
        self._attempts: dict[str, _Attempt] = {}
        self._curves: dict[tuple[str, str], Curve] = {}
        self.memory: dict[str, Memory] = {}
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

    def status_events(self) -> list[Event]:
        """The few events that `run_status` needs."""
        return [event for attempt in self._attempts.values() for event in attempt.events()]

    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Stage → the warnings of its last attempt, the last one first."""
        return {
            stage: tuple(dict.fromkeys(each.message for each in reversed(attempt.warnings)))
            for stage, attempt in self._attempts.items()
            if attempt.warnings
        }

    def _take(self, event: Event) -> None:
        match event:
            case Metric(stage, name=name, step=step, value=value):
                self.curve(stage, name).append(step, value)
            case Memory(stage):
                self.memory[stage] = event
            case Started(stage):
                self._attempts[stage] = _Attempt(event)
                self.memory.pop(stage, None)
            case _:
                self._take_word(self._attempts.setdefault(event.stage, _Attempt(None)), event)

    def _take_word(self, attempt: _Attempt, event: Event) -> None:
        match event:
            case Warned():
                attempt.warnings.append(event)
            case Progress():
                attempt.progress = event
            case Finished() | Failed() | Cancelled():
                attempt.ending = event
