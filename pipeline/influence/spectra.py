"""Eigenvalue spectra of fitted curvature factors, read from Kronfluence's folders.

Shape legend: I inputs (bias counted) and O outputs of a linear module, n eigenvalues.

What Kronfluence 1.0.1 stores: eigenvalues of the activation [I] and gradient [O] covariances,
already means over tokens; and Λ [O, I], a *sum* over examples, to be divided by their number.
Tensors are read one at a time, since Λ of all modules can be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.scores import layer_of

Kind = Literal["activation", "gradient", "lambda"]
Floats = NDArray[np.floating[Any]]

MEANING: dict[tuple[str, Kind], str] = {
    ("ekfac", "activation"): "eigenvalues of the activation covariance",
    ("kfac", "activation"): "eigenvalues of the activation covariance",
    ("ekfac", "gradient"): "eigenvalues of the gradient covariance",
    ("kfac", "gradient"): "eigenvalues of the gradient covariance",
    ("ekfac", "lambda"): "corrected eigenvalues in the Kronecker eigenbasis",
    ("kfac", "lambda"): "outer product of the two spectra",
    ("diagonal", "lambda"): "second moments of the parameters' gradients",
}
"""What the values of a strategy and kind are; identity fits nothing."""

_KEEP_ALL = 8192  # spectra up to this length are kept whole
_CURVE_POINTS = 1024  # longer ones at this many ranks, evenly spaced on a log axis
_MAP_CELLS = 256  # largest side of a Λ map


@dataclass(frozen=True)
class Figures:
    """A spectrum in figures; None where a figure means nothing.

    Non-finite values are counted and left out of every other figure. Shares of the variance and
    effective ranks take negative values as 0.
    """

    count: int
    non_finite: int
    negative: int
    """Below 0, which a covariance has from round-off only."""
    largest: float | None
    smallest: float | None
    mean: float | None
    median: float | None
    condition: float | None
    """largest / smallest; None where the smallest is within round-off of 0."""
    rank: int
    """How many are above round-off (of a covariance: n × machine epsilon × largest)."""
    effective_rank: float | None
    """exp of the entropy of the eigenvalues as shares of their sum (Roy & Vetterli 2007)."""
    participation_ratio: float | None
    """(Σλ)² / Σλ²."""
    count_90: int | None
    """How many of the largest hold 90 % of the sum."""
    count_95: int | None
    count_99: int | None


@dataclass(frozen=True)
class Curve:
    """A sorted spectrum: the values at some ranks, exact at each of them.

    Every rank where n ≤ 8192, else 1024 ranks evenly spaced on a log axis, 1 and n among them.
    """

    ranks: NDArray[np.int64]
    """1 = largest."""
    values: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    """Share of the sum that the values up to this rank hold; empty where the sum is 0."""


@dataclass(frozen=True)
class Spectrum:
    """One factor of one module."""

    strategy: str
    module: str
    kind: Kind
    figures: Figures
    curve: Curve
    shape: tuple[int, ...]
    heat: NDArray[np.float32] | None = None
    """Λ as block means, at most 256 × 256, largest eigen-directions first; NaN = no finite value.
    None for covariances."""

    @property
    def layer(self) -> int | None:
        """Number of the decoder layer, or None for a module outside of them."""
        return layer_of(self.module)

    @property
    def meaning(self) -> str:
        """What the values are."""
        return MEANING[self.strategy, self.kind]


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


def module_spectra(folder: Path, strategy: str, module: str) -> Iterator[Spectrum]:
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
            figures, curve = measure(*covariances[kind])
            yield Spectrum(strategy, module, kind, figures, curve, numbers.shape)
    if strategy == "kfac":
        matrix, tolerance = _outer_product(covariances)
    else:
        matrix, tolerance = _lambda_matrix(folder, module), 0.0
    figures, curve = measure(matrix.ravel(), tolerance)
    if strategy != "diagonal":  # eigh sorts upwards: turn the largest to the top left corner
        matrix = matrix[::-1, ::-1]
    heat = block_means(matrix, _MAP_CELLS)
    yield Spectrum(strategy, module, "lambda", figures, curve, matrix.shape, heat)


_COVARIANCES: tuple[Kind, ...] = ("activation", "gradient")


def measure(values: Floats, tolerance: float) -> tuple[Figures, Curve]:
    """Sums up eigenvalues [n] in any order; those up to `tolerance` are taken for round-off of 0.

    Never decomposes anything: the values are eigenvalues already.
    """
    ordered = np.sort(values[np.isfinite(values)])[::-1]
    positive = np.maximum(ordered, 0)
    total = float(positive.sum(dtype=np.float64))
    cumulative = np.cumsum(positive, dtype=np.float64)
    cumulative = cumulative / cumulative[-1] if total > 0 else cumulative[:0]
    figures = Figures(
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
    return figures, Curve(ranks, ordered[at].astype(np.float64), shares)


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


FIGURE_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Figures))
