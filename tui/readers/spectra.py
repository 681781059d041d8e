"""The spectra and Λ maps of a run's factors, module by module. PyArrow is imported on first use."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.contract.errors import HeadwaterError, MissingResultError
from pipeline.contract.run.freshness import Done, is_fresh
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from tui.readers.curve import Curve
from tui.readers.window import RANKS

Kind = Literal["activation", "gradient", "lambda"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SYMBOLS: dict[Kind, str] = {"activation": "activations", "gradient": "gradients", "lambda": "Λ"}
"""What the values are of, in a word."""
_HELD = 64
"""Modules whose curves and maps are kept in memory."""


@dataclass(frozen=True)
class Module:
    """A linear module that factors were fitted for."""

    name: str
    layer: int | None
    """Number of its decoder layer; None outside of them."""

    @property
    def short(self) -> str:
        """Its name within the layer: "mlp.gate_proj"."""
        return re.split(r"(?:^|\.)\d+\.", self.name)[-1]


@dataclass(frozen=True)
class Place:
    """A line of the list: a layer with its modules, or one module."""

    layer: int | None
    modules: tuple[Module, ...]
    is_layer: bool

    @property
    def title(self) -> str:
        """What it is called: "layer 3", "3 · mlp.gate_proj"."""
        named = "outside the layers" if self.layer is None else f"layer {self.layer}"
        if self.is_layer:
            return named
        short = self.modules[0].short
        return short if self.layer is None else f"{self.layer} · {short}"

    def beside(self, module: Module) -> Module | None:
        """What the module is compared with here: its namesake of a layer, or the only module."""
        if not self.is_layer:
            return self.modules[0]
        return next((own for own in self.modules if own.short == module.short), None)


@dataclass(frozen=True)
class Figures:
    """A row of the module table: a spectrum in figures, None where a figure means nothing."""

    meaning: str
    numbers: dict[str, float | None]

    def __getitem__(self, name: str) -> float | None:
        return self.numbers.get(name)


@dataclass(frozen=True)
class Spectrum:
    """Curves of one spectrum over ranks, as `RANKS` places them."""

    eigenvalues: Curve
    """Those above 0: a logarithmic scale has no place for the others."""
    cumulative: Curve
    """Percent of the sum that the values up to a rank hold."""


@dataclass(frozen=True)
class LambdaMap:
    """Λ as block means, the largest directions first; NaN where a block has no finite value."""

    outputs: int
    inputs: int
    rows: int
    columns: int
    values: array[float]
    """Row by row."""


@dataclass(frozen=True)
class Overview:
    """What there is to browse."""

    strategies: tuple[str, ...]
    places: tuple[Place, ...]
    figures: dict[tuple[str, str, str], Figures]
    """By strategy, module and kind."""
    clip: float
    """Percentile of the values where a map's colours end, as the run's settings say."""
    stale: bool
    """The settings or inputs have changed since."""

    def kinds(self, strategy: str) -> tuple[Kind, ...]:
        """What the strategy has spectra of."""
        found = {kind for fitted, _, kind in self.figures if fitted == strategy}
        return tuple(kind for kind in KINDS if kind in found)


class SpectraReader:
    """Reads `inspect/` of one run."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self.spectrum = lru_cache(maxsize=_HELD)(self._read_spectrum)
        self.lambda_map = lru_cache(maxsize=_HELD)(self._read_map)

    def overview(self) -> Overview:
        """Strategies, layers, modules and their figures.

        Raises:
            MissingResultError: there are no spectra; says why and what to do.
            SettingsError: the run's settings are wrong.
        """
        run = self._run
        if Done.read("inspect", run) is None or not run.module_table.exists():
            hint = (
                f"run inspect on the run's screen, or by `headwater run inspect --run {run.name}`"
            )
            raise MissingResultError("no spectra yet: the inspect stage has not finished", hint)
        with run.module_table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            hint = "only ekfac, kfac and diagonal fit a curvature: see factors.strategies"
            raise MissingResultError("the strategies of this run have no spectra", hint)
        settings = load_settings(run.settings)
        return Overview(
            strategies=tuple(dict.fromkeys(row["strategy"] for row in rows)),
            places=tuple(_places(rows)),
            figures={(r["strategy"], r["module"], r["kind"]): _figures(r) for r in rows},
            clip=settings.inspect.clip_percentile,
            stale=not self._fresh(settings),
        )

    def _fresh(self, settings: Any) -> bool:
        try:
            return is_fresh("inspect", settings, self._run)
        except HeadwaterError:
            return False

    def _read_spectrum(self, strategy: str, module: str, kind: Kind) -> Spectrum | None:
        """The curves of one spectrum; None where there is none."""
        row = _row(self._run.eigenvalues, strategy=strategy, module=module, kind=kind)
        if row is None:
            return None
        spectrum = Spectrum(Curve(), Curve())
        for rank, value in zip(row["ranks"], row["values"], strict=True):
            if value > 0:
                spectrum.eigenvalues.append(RANKS.place(rank), value)
        for rank, share in zip(row["ranks"], row["cumulative"], strict=False):
            spectrum.cumulative.append(RANKS.place(rank), 100 * share)
        return spectrum

    def _read_map(self, strategy: str, module: str) -> LambdaMap | None:
        """The Λ map of a module; None where a run of an older version wrote none."""
        if not self._run.lambda_maps.exists():
            return None
        row = _row(self._run.lambda_maps, strategy=strategy, module=module)
        if row is None:
            return None
        shape = (row["outputs"], row["inputs"], row["rows"], row["columns"])
        return LambdaMap(*shape, array("f", row["values"]))


def _row(path: Path, **wanted: str) -> dict[str, Any] | None:
    """The row of a table that has these values."""
    import pyarrow.parquet as pq

    filters = [(column, "=", value) for column, value in wanted.items()]
    rows: list[dict[str, Any]] = pq.read_table(path, filters=filters).to_pylist()
    return rows[0] if rows else None


def _places(rows: Iterable[dict[str, str]]) -> Iterator[Place]:
    """Layers in order, each before its modules; modules outside of the layers last."""
    names = dict.fromkeys((row["module"], row["layer"]) for row in rows)
    modules = [Module(name, int(layer) if layer else None) for name, layer in names]
    modules.sort(key=lambda m: (m.layer is None, m.layer or 0))
    for layer, found in groupby(modules, key=lambda module: module.layer):
        members = tuple(found)
        yield Place(layer, members, is_layer=True)
        yield from (Place(layer, (module,), is_layer=False) for module in members)


def _figures(row: dict[str, str]) -> Figures:
    words = ("strategy", "layer", "module", "kind", "meaning")
    numbers = {name: float(text) if text else None for name, text in row.items()
               if name not in words}  # fmt: skip
    return Figures(row["meaning"], numbers)
