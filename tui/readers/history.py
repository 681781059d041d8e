"""A run's events so far, kept small however many there are."""

from __future__ import annotations

import math
import time

from pipeline.contract.run.attempts import KINDS, Attempts
from pipeline.contract.run.events import EventReader, Memory, Metric
from pipeline.contract.run.run_dir import RunDir
from tui.readers.curve import Curve


class RunHistory:
    """Follows `events.jsonl`: curves of every metric, and each stage's last attempt."""

    def __init__(self, run: RunDir) -> None:
        self._words = EventReader(run.events, KINDS)
        self._readings = EventReader(run.events, (Metric,))
        self._curves: dict[tuple[str, str], Curve] = {}
        self._clocks: dict[str, Curve] = {}
        self._read_to = 0.0
        self.attempts = Attempts()

    def update(self, for_s: float = math.inf) -> None:
        """Takes in what was appended since the last time.

        How the stages stand is always known then; of the readings only as many are taken in as
        there is time for. Ten million take a minute.
        """
        for word in self._words.stream():
            self.attempts.take(word)
        deadline = time.monotonic() + for_s
        for part in self._readings.parts():
            for event in part:
                if isinstance(event, Metric):
                    self.curve(event.stage, event.name).append(event.step, event.value)
                    self._tell_time(event)
            self._read_to = part[-1].time if part else self._read_to
            if time.monotonic() > deadline:
                break

    def _tell_time(self, event: Metric) -> None:
        """Keeps when each step was: once for all metrics of a stage, and never earlier than the
        step before, whatever was done to the machine's clock."""
        clock = self._clocks.get(event.stage)
        if clock is None:
            clock = self._clocks[event.stage] = Curve()
        if not clock.steps or clock.steps[-1] != event.step:
            clock.append(event.step, max(event.time, clock.last or 0.0))

    def clocks(self) -> dict[str, Curve]:
        """Stage → when each of its steps was, seconds since the epoch."""
        return dict(self._clocks)

    @property
    def share(self) -> float:
        """How much of the readings was taken in, of 1."""
        return self._readings.share

    @property
    def last_time(self) -> float:
        """When the newest event came, seconds since the epoch; 0 where there is none."""
        return max(self._read_to, self.attempts.last_time)

    def curve(self, stage: str, name: str) -> Curve:
        """The readings of a stage's metric; empty where there are none yet."""
        if (stage, name) not in self._curves:  # `setdefault` would make a curve for every reading
            self._curves[stage, name] = Curve()
        return self._curves[stage, name]

    def metrics(self) -> dict[tuple[str, str], Curve]:
        """Every curve that has readings, by stage and name."""
        return {key: curve for key, curve in self._curves.items() if curve.version}

    def memory(self) -> dict[str, Memory]:
        """Stage → its newest memory, as far as its last attempt has told it."""
        found = {stage: attempt.memory for stage, attempt in self.attempts.items()}
        return {stage: memory for stage, memory in found.items() if memory}

    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Stage → the warnings of its last attempt, the last one first."""
        return {
            stage: tuple(dict.fromkeys(each.message for each in reversed(attempt.warnings)))
            for stage, attempt in self.attempts.items()
            if attempt.warnings
        }
