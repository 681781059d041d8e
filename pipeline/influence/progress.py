"""Progress events from work that Kronfluence does out of sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.contract.run.events import EventWriter


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
    """While entered, tells of every matrix that torch has decomposed, and does equal ones once.

    Modules that read one input have one activation covariance (gate/up, q/k/v). Of one layer's
    matrices, an equal one is never more than two back.
    """

    def __init__(self, on_matrix: Callable[[int], None]) -> None:
        super().__init__()
        self._on_matrix = on_matrix
        self._latest: list[tuple[Tensor, tuple[Tensor, ...]]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Calls `func`; counts it if it is `eigh`."""
        if func is not torch.linalg.eigh:
            return func(*args, **(kwargs or {}))
        result = self._decomposed(*args, **(kwargs or {}))
        self._on_matrix(1)
        return result

    def _decomposed(self, matrix: Tensor) -> tuple[Tensor, ...]:
        """Eigenvalues and eigenvectors; the caller's own, for they are saved by module."""
        known = next((item for item in self._latest if torch.equal(item[0], matrix)), None)
        if known is None:
            known = matrix, tuple(torch.linalg.eigh(matrix))
        self._latest = [known, *(item for item in self._latest if item is not known)][:2]
        return tuple(part.clone() for part in known[1])
