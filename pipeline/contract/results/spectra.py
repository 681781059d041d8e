"""What inspect writes: the spectra of the fitted factors, and files for every layer.

modules.csv: a row a strategy, module and kind, with the spectrum's statistics. eigenvalues.parquet:
the same rows with the sorted values. layer_<n>/: see `LayerFiles`. For lambda_maps.parquet, see
`lambda_maps.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pipeline.contract.files import replacing, write_csv
from pipeline.contract.results import common
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

STAGE = "inspect"
Kind = Literal["activation", "gradient", "lambda"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TITLES: Mapping[Kind, str] = {
    "activation": "Activation covariance",
    "gradient": "Gradient covariance",
    "lambda": "Λ",
}
"""What the values are of, as a heading."""
SYMBOLS: Mapping[Kind, str] = {"activation": "activations", "gradient": "gradients", "lambda": "Λ"}
"""What the values are of, in a word."""
MEANINGS: Mapping[tuple[str, Kind], str] = {
    ("ekfac", "activation"): "eigenvalues of the activation covariance",
    ("kfac", "activation"): "eigenvalues of the activation covariance",
    ("ekfac", "gradient"): "eigenvalues of the gradient covariance",
    ("kfac", "gradient"): "eigenvalues of the gradient covariance",
    ("ekfac", "lambda"): "corrected eigenvalues in the Kronecker eigenbasis",
    ("kfac", "lambda"): "outer product of the two spectra",
    ("diagonal", "lambda"): "second moments of the parameters' gradients",
}
"""What the values of a strategy and kind are; identity fits nothing."""
_ROW_GROUP = 64  # spectra: a reader of one module reads 64 of thousands


@dataclass(frozen=True)
class SpectrumStatistics:
    """A spectrum summed up; None where a statistic means nothing.

    Non-finite values are counted and left out of every other statistic. Shares of the variance and
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
class Spectrum:
    """The spectrum of one factor of one module: a row of modules.csv."""

    strategy: str
    layer: int | None
    """Number of the decoder layer; None for a module outside of them."""
    module: str
    kind: Kind
    statistics: SpectrumStatistics
    meaning: str
    """What the values are: see `MEANINGS`."""

    def record(self) -> dict[str, object]:
        """The row by the names of its columns."""
        values = {**vars(self), **vars(self.statistics)}
        return {name: values[name] for name in _COLUMNS}


@dataclass(frozen=True)
class SpectrumCurve:
    """A sorted spectrum: the values at some ranks, exact at each of them.

    Every rank where n ≤ 8192, else 1024 ranks evenly spaced on a log axis, 1 and n among them.
    """

    ranks: NDArray[np.int64]
    """1 = largest."""
    values: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    """Share of the sum that the values up to this rank hold; empty where the sum is 0."""


@dataclass(frozen=True)
class InspectSummary:
    """summary.json: what has been inspected."""

    strategies: tuple[str, ...]
    layers: tuple[int, ...]
    """Those that have files of their own: see `LayerFiles`."""
    modules: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class LayerFiles:
    """Pictures of one layer's spectra, and their statistics as text."""

    lambda_matrix: Path
    eigenvalue_distribution: Path
    cumulative_variance: Path
    analysis: Path

    @classmethod
    def of(cls, run: RunDir, layer: int) -> LayerFiles:
        """The layer's files, whether they are there or not."""
        folder = run.layer(layer)
        return cls(
            lambda_matrix=folder / "lambda_matrix.png",
            eigenvalue_distribution=folder / "eigenvalue_distribution.png",
            cumulative_variance=folder / "cumulative_variance.png",
            analysis=folder / "eigenvalue_analysis.txt",
        )

    @property
    def pictures(self) -> tuple[Path, ...]:
        """All pictures."""
        return self.cumulative_variance, self.eigenvalue_distribution, self.lambda_matrix


def write_summary(run: RunDir, summary: InspectSummary) -> None:
    """Writes summary.json."""
    common.write_record(run.summary(STAGE), summary)


def read_summary(run: RunDir) -> InspectSummary:
    """Reads summary.json; the errors are those of `common.read_record`."""
    return common.read_record(run, STAGE, run.summary(STAGE), InspectSummary)


def write_spectra(run: RunDir, spectra: Iterable[tuple[Spectrum, SpectrumCurve]]) -> None:
    """Writes modules.csv and eigenvalues.parquet, a row a spectrum in the order given."""
    import pyarrow as pa

    pairs = list(spectra)
    with (
        replacing(run.module_table) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        write_csv(file, _COLUMNS, (spectrum.record() for spectrum, _ in pairs))
    rows = [_curve_row(spectrum, curve) for spectrum, curve in pairs]
    table = pa.Table.from_pylist(rows, _curve_schema())
    common.write_table(run.eigenvalues, table, row_group_size=_ROW_GROUP)


def load_spectra(run: RunDir) -> common.Loaded[tuple[Spectrum, ...]]:
    """Every spectrum of a finished inspect; the errors are those of `common.load`."""
    return common.load(run, STAGE, read_spectra)


def read_spectra(run: RunDir) -> tuple[Spectrum, ...]:
    """Reads modules.csv.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: a row is not what the stage writes.
    """
    path = run.module_table
    with common.readable(run, STAGE, path), path.open(newline="", encoding="utf-8") as file:
        rows = list(_csv_rows(file))
    parsed: tuple[Spectrum, ...] = common.checked(
        run, STAGE, path, tuple[Spectrum, ...], [_parsed(row) for row in rows]
    )
    return parsed


def read_curve(run: RunDir, strategy: str, module: str, kind: Kind) -> SpectrumCurve | None:
    """Reads one spectrum's sorted values; None where the stage found no such spectrum.

    Raises:
        MissingResultError: there is no eigenvalues.parquet.
        DamagedResultError: it is not what the stage writes.
    """
    import numpy as np

    key = {"strategy": strategy, "module": module, "kind": kind}
    row = common.read_row(run, STAGE, run.eigenvalues, _curve_schema(), key)
    if row is None:
        return None
    ranks, values, cumulative = (row[name] or [] for name in ("ranks", "values", "cumulative"))
    if len(ranks) != len(values) or len(cumulative) not in (0, len(ranks)):
        raise common.damaged(run, STAGE, run.eigenvalues, f"{module}: its columns differ in length")
    return SpectrumCurve(
        np.array(ranks, np.int64), np.array(values, np.float64), np.array(cumulative, np.float64)
    )


_STATISTICS = tuple(field.name for field in fields(SpectrumStatistics))
_COLUMNS = ("strategy", "layer", "module", "kind", *_STATISTICS, "meaning")


def _csv_rows(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """The rows by column.

    Raises:
        ValueError: it is no CSV, or a column is not there.
    """
    try:
        reader = csv.DictReader(lines)
        for name in _COLUMNS:
            if name not in (reader.fieldnames or ()):
                raise ValueError(f"there is no column {name}")
        yield from reader
    except csv.Error as error:  # is no ValueError
        raise ValueError(str(error)) from error


def _parsed(row: Mapping[str, str]) -> dict[str, object]:
    """A row's texts, nothing as None; `common.checked` turns them into numbers."""
    texts: dict[str, object] = {name: row[name] or None for name in _COLUMNS}
    return {**texts, "statistics": texts}


def _curve_row(one: Spectrum, curve: SpectrumCurve) -> dict[str, object]:
    return {
        "strategy": one.strategy,
        "layer": one.layer,
        "module": one.module,
        "kind": one.kind,
        "count": one.statistics.count,
        "ranks": curve.ranks,
        "values": curve.values,
        "cumulative": curve.cumulative,
    }


@lru_cache
def _curve_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("strategy", pa.string()),
            ("layer", pa.int32()),  # null for a module outside the decoder layers
            ("module", pa.string()),
            ("kind", pa.string()),
            ("count", pa.int64()),  # more than there are values of a long spectrum
            ("ranks", pa.list_(pa.int64())),
            ("values", pa.list_(pa.float64())),
            ("cumulative", pa.list_(pa.float64())),
        ]
    )
