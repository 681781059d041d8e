"""Emits progress events for Kronfluence's work, which reports none itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.contract.run.events import EventWriter


class PhaseProgress:
    """Emits progress events for one phase after another."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self._phase = ""
        self._unit = ""
        self._done = 0
        self._total = 0

    @contextmanager
    def phase(self, name: str, total: int, done: int = 0, unit: str = "examples") -> Iterator[None]:
        """Context of a phase of `total` units, of which an earlier attempt finished `done`."""
        self._phase, self._unit, self._done, self._total = name, unit, done, total
        self.add(0)
        yield
        # partitions that were saved before are skipped without a call of `add`
        self.add(self._total - self._done)

    def add(self, units: int) -> None:
        """Counts more finished units and emits a progress event."""
        self._done = min(self._done + units, self._total)
        self._events.progress(self._done, self._total, self._unit, self._phase)


class CountedEigendecompositions(TorchFunctionMode):
    """While entered, counts calls of `torch.linalg.eigh` and reuses results of equal matrices.

    Modules with the same input (gate/up, q/k/v) have the same activation covariance; within a
    layer an equal matrix is at most two calls back, so two results are kept.
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
        kwargs: dict[str, Any] | None = None,  # Any: as in the protocol of torch
    ) -> Any:
        """Calls `func`, or for `eigh` the counted and cached decomposition."""
        if func is not torch.linalg.eigh:
            return func(*args, **(kwargs or {}))
        result = self._decomposed(*args, **(kwargs or {}))
        self._on_matrix(1)
        return result

    def _decomposed(self, matrix: Tensor) -> tuple[Tensor, ...]:
        """Eigenvalues [n] and eigenvectors [n, n] of a symmetric matrix [n, n]."""
        known = next((item for item in self._latest if torch.equal(item[0], matrix)), None)
        if known is None:
            known = matrix, tuple(torch.linalg.eigh(matrix))
        self._latest = [known, *(item for item in self._latest if item is not known)][:2]
        # Kronfluence saves them by module, and safetensors refuses tensors that share memory
        return tuple(part.clone() for part in known[1])
