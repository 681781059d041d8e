"""The spectra and Λ maps of a run's factors, module by module. PyArrow is imported on first use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.factors import read_factors_summary
from pipeline.contract.results.lambda_maps import read_lambda_map
from pipeline.contract.results.spectra import (
    KINDS,
    Kind,
    Spectrum,
    SpectrumStatistics,
    load_spectra,
    read_curve,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from tui.readers.curve import Curve
from tui.readers.window import RANKS

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
class ModuleEntry:
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

    def counterpart(self, module: Module) -> Module | None:
        """What the module is compared with here: its namesake of a layer, or the only module."""
        if not self.is_layer:
            return self.modules[0]
        return next((own for own in self.modules if own.short == module.short), None)


@dataclass(frozen=True)
class Curves:
    """Curves of one spectrum over ranks, as `RANKS` places them."""

    eigenvalues: Curve
    """Those above 0: a logarithmic scale has no place for the others."""
    cumulative: Curve
    """Percent of the sum that the values up to a rank hold."""


@dataclass(frozen=True)
class SpectraOverview:
    """What there is to browse."""

    strategies: tuple[str, ...]
    entries: tuple[ModuleEntry, ...]
    spectra: dict[tuple[str, str, str], Spectrum]
    """By strategy, module and kind."""
    clip: float
    """Percentile of the values where a map's colours end, as the run's settings say."""
    stale: bool
    """The settings or inputs have changed since."""
    not_traced: str = ""
    """What share of the chosen weights is traced, and what is not; empty where all is."""

    def kinds(self, strategy: str) -> tuple[Kind, ...]:
        """What the strategy has spectra of."""
        present = {kind for fitted, _, kind in self.spectra if fitted == strategy}
        return tuple(kind for kind in KINDS if kind in present)

    def statistics(self, strategy: str, module: Module, kind: str) -> SpectrumStatistics | None:
        """One spectrum summed up; None where there is none."""
        spectrum = self.spectra.get((strategy, module.name, kind))
        return spectrum.statistics if spectrum else None


class SpectraReader:
    """Reads `inspect/` of one run; raises what the readers of `contract/results` do."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self.curves = lru_cache(maxsize=_HELD)(self._read_curves)
        self.lambda_map = lru_cache(maxsize=_HELD)(partial(read_lambda_map, run))

    def overview(self) -> SpectraOverview:
        """Strategies, layers, modules and their statistics.

        Raises:
            MissingResultError: there are no spectra; says why and what to do.
            DamagedResultError: they cannot be read.
            SettingsError: the run's settings are wrong.
        """
        loaded = load_spectra(self._run)
        if not loaded.value:
            hint = "only ekfac, kfac and diagonal fit a curvature: see factors.strategies"
            raise MissingResultError("the strategies of this run have no spectra", hint)
        return SpectraOverview(
            strategies=tuple(dict.fromkeys(one.strategy for one in loaded.value)),
            entries=tuple(_entries(loaded.value)),
            spectra={(one.strategy, one.module, one.kind): one for one in loaded.value},
            clip=load_settings(self._run.settings).inspect.clip_percentile,
            stale=not loaded.fresh,
            not_traced=self._not_traced(),
        )

    def _not_traced(self) -> str:
        try:
            coverage = read_factors_summary(self._run).coverage
        except MissingResultError:  # a copied run may bring its spectra alone
            return ""
        return coverage.sentence if coverage and coverage.left_out else ""

    def _read_curves(self, strategy: str, module: str, kind: Kind) -> Curves | None:
        """The curves of one spectrum; None where there is none."""
        spectrum = read_curve(self._run, strategy, module, kind)
        if spectrum is None:
            return None
        curves = Curves(Curve(), Curve())
        ranks = spectrum.ranks.tolist()
        for rank, value in zip(ranks, spectrum.values.tolist(), strict=True):
            if value > 0:
                curves.eigenvalues.append(RANKS.coordinate(rank), value)
        for rank, share in zip(ranks, spectrum.cumulative.tolist(), strict=False):  # may be empty
            curves.cumulative.append(RANKS.coordinate(rank), 100 * share)
        return curves


def _entries(spectra: Iterable[Spectrum]) -> Iterator[ModuleEntry]:
    """Layers in order, each before its modules; modules outside of the layers last."""
    modules = list(dict.fromkeys(Module(one.module, one.layer) for one in spectra))
    modules.sort(key=lambda m: (m.layer is None, m.layer or 0))
    for layer, group in groupby(modules, key=lambda module: module.layer):
        members = tuple(group)
        yield ModuleEntry(layer, members, is_layer=True)
        yield from (ModuleEntry(layer, (module,), is_layer=False) for module in members)
