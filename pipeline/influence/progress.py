"""Progress events from work that Kronfluence does out of sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from pipeline.contract.events import EventWriter


class PhaseProgress:
    """Counts units of one phase after the other into progress events."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self._phase = ""
        self._unit = ""
        self._done = 0
        self._total = 0

    @contextmanager
    def phase(self, name: str, total: int, done: int = 0, unit: str = "examples") -> Iterator[None]:
        """A phase of `total` units, of which an earlier attempt finished `done`."""
        self._phase, self._unit, self._done, self._total = name, unit, done, total
        self.add(0)
        yield
        self.add(self._total - self._done)

    def add(self, units: int) -> None:
        """So many more are finished."""
        self._done = min(self._done + units, self._total)
        self._events.progress(self._done, self._total, self._unit, self._phase)


class CountedEigendecompositions(TorchFunctionMode):
    """While entered, tells of every matrix that torch has decomposed."""

    def __init__(self, on_matrix: Callable[[int], None]) -> None:
        super().__init__()
        self._on_matrix = on_matrix

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Calls `func`; counts it if it is `eigh`."""
        result = func(*args, **(kwargs or {}))
        if func is torch.linalg.eigh:
            self._on_matrix(1)
        return result
