"""Eigenvalue spectra of fitted curvature factors, read from Kronfluence's folders.

Shape legend: I inputs (bias counted) and O outputs of a linear module, n eigenvalues.

What Kronfluence 1.0.1 stores: eigenvalues of the activation [I] and gradient [O] covariances,
already means over tokens; and Λ [O, I], a *sum* over examples, to be divided by their number.
Tensors are read one at a time, since Λ of all modules can be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.scores import layer_of
from pipeline.contract.results.spectra import (
    MEANINGS,
    Kind,
    Spectrum,
    SpectrumCurve,
    SpectrumStatistics,
)

Floats = NDArray[np.floating[Any]]

_KEEP_ALL = 8192  # spectra up to this length are kept whole
_CURVE_POINTS = 1024  # longer ones at this many ranks, evenly spaced on a log axis
_MAP_CELLS = 256  # largest side of a Λ map


@dataclass(frozen=True)
class MeasuredSpectrum(Spectrum):
    """A spectrum with its sorted values, and Λ as a picture."""

    curve: SpectrumCurve
    shape: tuple[int, ...]
    heat: NDArray[np.float32] | None = None
    """Λ as block means, at most 256 × 256, largest eigen-directions first; NaN = no finite value.
    None for covariances."""

    @classmethod
    def of(
        cls, strategy: str, module: str, kind: Kind, values: Floats, tolerance: float
    ) -> MeasuredSpectrum:
        """Measures eigenvalues of any shape; see `measure`."""
        statistics, curve = measure(values.ravel(), tolerance)
        meaning = MEANINGS[strategy, kind]
        return cls(
            strategy, layer_of(module), module, kind, statistics, meaning, curve, values.shape
        )


def tracked_modules(folder: Path, strategy: str) -> list[str]:
    """Names of the modules that the strategy was fitted for, in natural order.

    Raises:
        MissingResultError: the folder lacks the strategy's files, or they are not whole.
    """
    if strategy == "identity":
        return []
    name = "lambda_matrix" if strategy == "diagonal" else "activation_eigenvalues"
    with _factor_file(folder, name) as file:
        return sorted(file.keys(), key=_natural)


def module_spectra(folder: Path, strategy: str, module: str) -> Iterator[MeasuredSpectrum]:
    """Gives a module's spectra: both covariances (KFAC, EKFAC), then Λ.

    Raises:
        MissingResultError: the folder lacks the strategy's files, or they are not whole.
    """
    covariances: dict[Kind, tuple[Floats, float]] = {}
    if strategy in ("ekfac", "kfac"):
        for kind in _COVARIANCES:
            values = _tensor(folder, f"{kind}_eigenvalues", module)
            numbers = values.double().numpy()
            covariances[kind] = (numbers, _round_off(numbers, torch.finfo(values.dtype).eps))
            yield MeasuredSpectrum.of(strategy, module, kind, *covariances[kind])
    if strategy == "kfac":
        matrix, tolerance = _outer_product(covariances)
    else:
        matrix, tolerance = _lambda_matrix(folder, module), 0.0
    spectrum = MeasuredSpectrum.of(strategy, module, "lambda", matrix, tolerance)
    if strategy != "diagonal":  # eigh sorts upwards: turn the largest to the top left corner
        matrix = matrix[::-1, ::-1]
    yield replace(spectrum, heat=block_means(matrix, _MAP_CELLS))


_COVARIANCES: tuple[Kind, ...] = ("activation", "gradient")


def measure(values: Floats, tolerance: float) -> tuple[SpectrumStatistics, SpectrumCurve]:
    """Sums up eigenvalues [n] in any order; those up to `tolerance` are taken for round-off of 0.

    Never decomposes anything: the values are eigenvalues already.
    """
    ordered = np.sort(values[np.isfinite(values)])[::-1]
    positive = np.maximum(ordered, 0)
    total = float(positive.sum(dtype=np.float64))
    cumulative = np.cumsum(positive, dtype=np.float64)
    cumulative = cumulative / cumulative[-1] if total > 0 else cumulative[:0]
    statistics = SpectrumStatistics(
        count=len(values),
        non_finite=len(values) - len(ordered),
        negative=int((ordered < 0).sum()),
        largest=float(ordered[0]) if len(ordered) else None,
        smallest=float(ordered[-1]) if len(ordered) else None,
        mean=float(ordered.mean(dtype=np.float64)) if len(ordered) else None,
        median=float(np.median(ordered)) if len(ordered) else None,
        condition=_condition(ordered, tolerance),
        rank=int((ordered > tolerance).sum()),
        effective_rank=_effective_rank(positive, total),
        participation_ratio=_participation_ratio(positive, total),
        count_90=_count_holding(0.90, cumulative),
        count_95=_count_holding(0.95, cumulative),
        count_99=_count_holding(0.99, cumulative),
    )
    ranks = _curve_ranks(len(ordered))
    at = ranks - 1
    shares = cumulative[at] if total > 0 else cumulative
    return statistics, SpectrumCurve(ranks, ordered[at].astype(np.float64), shares)


def block_means(matrix: Floats, cells: int) -> NDArray[np.float32]:
    """Averages the finite entries of [O, I] over blocks, to at most `cells` a side."""
    rows, columns = (
        np.linspace(0, side, min(side, cells), endpoint=False).astype(int) for side in matrix.shape
    )
    finite = np.isfinite(matrix)
    counts = _block_sums(finite.astype(np.int32), rows, columns)
    sums = _block_sums(np.where(finite, matrix, 0), rows, columns)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float32] = (sums / counts).astype(np.float32)
    return means  # 0 / 0: a block without a finite value is NaN


def _block_sums(matrix: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    return np.add.reduceat(np.add.reduceat(matrix, rows, axis=0), columns, axis=1)


def _condition(ordered: Floats, tolerance: float) -> float | None:
    if len(ordered) == 0 or ordered[-1] <= tolerance:
        return None
    return float(ordered[0]) / float(ordered[-1])


def _effective_rank(positive: Floats, total: float) -> float | None:
    if total <= 0:
        return None
    shares = positive[positive > 0].astype(np.float64) / total
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _participation_ratio(positive: Floats, total: float) -> float | None:
    if total <= 0:
        return None
    shares = positive.astype(np.float64) / total
    return float(1 / np.sum(shares**2))


def _count_holding(share: float, cumulative: Floats) -> int | None:
    return int(np.searchsorted(cumulative, share)) + 1 if len(cumulative) else None


def _curve_ranks(count: int) -> NDArray[np.int64]:
    if count <= _KEEP_ALL:
        return np.arange(1, count + 1)
    return np.unique(np.geomspace(1, count, _CURVE_POINTS).round().astype(np.int64))


def _round_off(values: Floats, epsilon: float) -> float:
    """What eigenvalues of an n × n matrix in this precision cannot be told from 0 below."""
    finite = values[np.isfinite(values)]
    return len(values) * epsilon * float(np.abs(finite).max()) if len(finite) else 0.0


def _outer_product(covariances: dict[Kind, tuple[Floats, float]]) -> tuple[Floats, float]:
    """KFAC's eigenvalues [O, I]; one is round-off as soon as one of its two factors is."""
    (inputs, input_tolerance), (outputs, output_tolerance) = (covariances[k] for k in _COVARIANCES)
    tolerance = max(
        input_tolerance * float(np.nanmax(outputs)), output_tolerance * float(np.nanmax(inputs))
    )
    return np.outer(outputs, inputs), tolerance


def _lambda_matrix(folder: Path, module: str) -> Floats:
    """Λ as a mean over examples [O, I], float32."""
    examples = _tensor(folder, "num_lambda_processed", module)
    total = _tensor(folder, "lambda_matrix", module)
    return (total.float() / examples.float()).numpy()


def _tensor(folder: Path, name: str, module: str) -> torch.Tensor:
    with _factor_file(folder, name) as file:
        tensor: torch.Tensor = file.get_tensor(module)
        return tensor


def _factor_file(folder: Path, name: str) -> Any:
    path = folder / f"{name}.safetensors"
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        hint = "`headwater run factors --force --run NAME` fits them again"
        raise MissingResultError(f"cannot read the factors in {path}: {error}", hint) from error


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts layers.2 before layers.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
