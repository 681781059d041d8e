"""Emits progress events for Kronfluence's work, which reports none itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.contract.run.events import EventWriter


class PhaseProgress:
    """Emits progress events for one phase after another."""

    def __init__(self, events: EventWriter, of: str = "") -> None:
        """`of`: stands before the phases' names, where a stage goes through them several times."""
        self._events, self._of = events, of
        self._phase = ""
        self._unit = ""
        self._done = 0
        self._total = 0

    @contextmanager
    def phase(self, name: str, total: int, done: int = 0, unit: str = "examples") -> Iterator[None]:
        """Context of a phase of `total` units, of which an earlier attempt finished `done`."""
        self._phase, self._unit, self._done, self._total = f"{self._of}{name}", unit, done, total
        self.add(0)
        yield
        # partitions that were saved before are skipped without a call of `add`
        self.add(self._total - self._done)

    def add(self, units: int) -> None:
        """Counts more finished units and emits a progress event."""
        self._done = min(self._done + units, self._total)
        self._events.progress(self._done, self._total, self._unit, self._phase)
