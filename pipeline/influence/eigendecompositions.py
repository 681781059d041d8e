"""Eigendecompositions of covariances: each once, on the device where its solver can."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class CountedEigendecompositions(TorchFunctionMode):
    """While entered, counts calls of `torch.linalg.eigh`, reuses results of equal matrices, and has
    the CPU decompose in float64 what the device's solver fails at.

    Modules with the same input (gate/up, q/k/v) have the same activation covariance; within a
    layer an equal matrix is at most two calls back, so two results are kept.
    """

    def __init__(self, on_matrix: Callable[[int], None]) -> None:
        super().__init__()
        self._on_matrix = on_matrix
        self._latest: list[tuple[Tensor, tuple[Tensor, ...]]] = []
        self.failures = 0
        """Matrices that the device's solver failed at."""

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
            known = matrix, self._solved(matrix)
        self._latest = [known, *(item for item in self._latest if item is not known)][:2]
        # Kronfluence saves them by module, and safetensors refuses tensors that share memory
        return tuple(part.clone() for part in known[1])

    def _solved(self, matrix: Tensor) -> tuple[Tensor, ...]:
        """As `_decomposed`, on the matrix's device or else on the CPU, in float64."""
        try:
            found = tuple(torch.linalg.eigh(matrix))
            if _is_exact(matrix) or all(bool(part.isfinite().all()) for part in found):
                return found
        except RuntimeError:  # LAPACK's LinAlgError, cuSOLVER's own, or too little memory
            if _is_exact(matrix):
                raise
        self.failures += 1
        return tuple(torch.linalg.eigh(matrix.to(device="cpu", dtype=torch.float64)))


def _is_exact(matrix: Tensor) -> bool:
    """Whether no other solver is any better."""
    return matrix.is_cpu and matrix.dtype == torch.float64
