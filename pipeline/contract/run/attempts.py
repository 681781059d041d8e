"""How each stage's last attempt went: in little memory, however many events tell it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.contract.run.events import (
    Cancelled,
    Event,
    EventReader,
    Failed,
    Finished,
    Memory,
    Progress,
    Started,
    Warned,
)
from pipeline.contract.run.run_dir import RunDir

STANDING: tuple[type[Event], ...] = (Started, Progress, Warned, Finished, Failed, Cancelled)
"""The events that tell how a stage stands."""
KINDS: tuple[type[Event], ...] = (*STANDING, Memory)
"""The events that an attempt is told from."""
_WARNINGS_KEPT = 100


@dataclass
class Attempt:
    """A stage's last attempt."""

    started: Started | None = None
    """None where it left no word of its start."""
    warnings: deque[Warned] = field(default_factory=lambda: deque(maxlen=_WARNINGS_KEPT))
    """The last hundred."""
    progress: Progress | None = None
    """The newest, as the memory's is."""
    memory: Memory | None = None
    most_rss: int = 0
    """Most memory of the process seen at once, bytes; 0 = not told."""
    most_gpu: int = 0
    """Most memory that torch held on the accelerator, bytes."""
    ending: Finished | Failed | Cancelled | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has left no word of how it goes."""
        return not (self.started or self.warnings or self.progress or self.ending)

    @property
    def last_time(self) -> float:
        """When it said something for the last time, seconds since the epoch; 0 = never."""
        said = (self.started, self.progress, self.memory, self.ending, *list(self.warnings)[-1:])
        return max((event.time for event in said if event), default=0.0)

    def take(self, event: Event) -> None:
        """Takes in what came next."""
        match event:
            case Warned():
                self.warnings.append(event)
            case Progress():
                self.progress = event
            case Memory():
                self.memory = event
                self.most_rss = max(self.most_rss, event.rss)
                self.most_gpu = max(self.most_gpu, event.peak)
            case Finished() | Failed() | Cancelled():
                self.ending = event

    def since(self, time: float) -> Attempt:
        """What is left of it when everything before a time is another attempt's."""
        later = Attempt()
        events = (self.started, *self.warnings, self.progress, self.ending)
        for event in (event for event in events if event and event.time >= time):
            if isinstance(event, Started):
                later.started = event
            later.take(event)
        return later


class Attempts(dict[str, Attempt]):
    """Stage → its last attempt."""

    @property
    def last_time(self) -> float:
        """When any of them said something for the last time; 0 = never."""
        return max((attempt.last_time for attempt in self.values()), default=0.0)

    def take(self, event: Event) -> None:
        """Takes in what came next."""
        if isinstance(event, Started):
            self[event.stage] = Attempt(event)
        else:
            self.setdefault(event.stage, Attempt()).take(event)


def last_attempts(events: Iterable[Event]) -> Attempts:
    """The last attempt of every stage that said something, by its events of `KINDS`."""
    attempts = Attempts()
    for event in events:
        attempts.take(event)
    return attempts


def read_attempts(run: RunDir, kinds: Sequence[type[Event]] = KINDS) -> Attempts:
    """As `last_attempts`, of a run; in less time without the kinds that nobody asks for."""
    return last_attempts(EventReader(run.events, kinds).stream())
