"""inspect: the spectra of the fitted factors, as tables and pictures.

What it writes: see `contract/results/spectra.py` and `contract/results/lambda_maps.py`.
"""

from __future__ import annotations

import difflib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from pipeline.contract.errors import SettingsError
from pipeline.contract.files import write_text
from pipeline.contract.results.lambda_maps import LambdaMap, lambda_map_writer
from pipeline.contract.results.scores import layer_of
from pipeline.contract.results.spectra import (
    InspectSummary,
    LayerFiles,
    Spectrum,
    write_spectra,
    write_summary,
)
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import InspectSettings, Settings
from pipeline.influence.spectra import (
    MeasuredSpectrum,
    block_means,
    module_spectra,
    tracked_modules,
)
from pipeline.report import spectrum_figures
from pipeline.report.spectrum_table import spectrum_table
from pipeline.report.style import figure_style

_MAP_CELLS = 128  # a side of the maps that are kept: what a terminal can show


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Reads every strategy's factors, layer by layer, and draws each layer.

    Raises:
        SettingsError: there is no such colour map.
        MissingResultError: a strategy's factors are not there or not whole.
    """
    _check_colormap(settings.inspect.colormap)
    strategies: list[str] = [name for name in settings.factors.strategies if name != "identity"]
    events.doing("reading the factors")
    warnings: list[str] = []
    if not strategies:
        warnings.append("identity fits no factors, so there are no spectra to show")
    modules = {name: tracked_modules(run.factors(name), name) for name in strategies}
    layers = _by_layer(modules)
    kept: list[MeasuredSpectrum] = []
    with lambda_map_writer(run) as write_maps:
        for number, (layer, names) in enumerate(layers.items()):
            spectra = list(_layer_spectra(run, names))
            warnings += _oddities(spectra)
            if layer is None:
                listed = ", ".join(dict.fromkeys(module for _, module in names))
                warnings.append(f"drawn in no picture, since they belong to no layer: {listed}")
            else:
                _draw_layer(run, layer, spectra, settings.inspect)
            write_maps(_maps(spectra))
            # the maps of all layers together would fill the memory
            kept += [replace(spectrum, heat=None) for spectrum in spectra]
            events.progress(number + 1, len(layers), "layers", "spectra and maps")
    for message in warnings:
        events.warning(message)
    write_spectra(run, [(spectrum, spectrum.curve) for spectrum in kept])
    summary = InspectSummary(
        strategies=tuple(strategies),
        layers=tuple(layer for layer in layers if layer is not None),
        modules=len({spectrum.module for spectrum in kept}),
        warnings=tuple(warnings),
    )
    write_summary(run, summary)


def _check_colormap(name: str) -> None:
    if name in colormaps:
        return
    near = difflib.get_close_matches(name, colormaps, n=3)
    some = ", ".join(dict.fromkeys([*near, "viridis", "cividis", "magma", "inferno", "gray"]))
    raise SettingsError(
        f"inspect.colormap: there is no colour map {name!r}; valid are, e.g.: {some}"
    )


def _by_layer(modules: dict[str, list[str]]) -> dict[int | None, list[tuple[str, str]]]:
    """Layer → (strategy, module) pairs; layers in order, modules outside of any last."""
    layers: dict[int | None, list[tuple[str, str]]] = {}
    for strategy, names in modules.items():
        for module in names:
            layers.setdefault(layer_of(module), []).append((strategy, module))
    return dict(sorted(layers.items(), key=lambda item: (item[0] is None, item[0] or 0)))


def _layer_spectra(run: RunDir, names: Iterable[tuple[str, str]]) -> Iterator[MeasuredSpectrum]:
    for strategy, module in names:
        yield from module_spectra(run.factors(strategy), strategy, module)


def _oddities(spectra: Iterable[Spectrum]) -> Iterator[str]:
    for spectrum in spectra:
        bad = spectrum.statistics.non_finite
        if bad:
            where = f"{spectrum.strategy}, {spectrum.module}, {spectrum.kind}"
            yield f"{where}: {bad} of {spectrum.statistics.count} values are not finite; left out"


def _maps(spectra: Iterable[MeasuredSpectrum]) -> dict[tuple[str, str], LambdaMap]:
    return {
        (spectrum.strategy, spectrum.module): _map(spectrum.heat, spectrum.shape)
        for spectrum in spectra
        if spectrum.heat is not None
    }


def _map(heat: NDArray[np.float32], shape: tuple[int, ...]) -> LambdaMap:
    means = block_means(heat, _MAP_CELLS)
    (outputs, inputs), (rows, columns) = shape, means.shape
    return LambdaMap(outputs, inputs, rows, columns, array("f", means.ravel()))


def _draw_layer(
    run: RunDir, layer: int, spectra: list[MeasuredSpectrum], settings: InspectSettings
) -> None:
    files = LayerFiles.of(run, layer)
    maps = (settings.clip_percentile, settings.colormap)
    with figure_style():
        pictures = {
            files.lambda_matrix: spectrum_figures.lambda_maps(spectra, layer, *maps),
            files.eigenvalue_distribution: spectrum_figures.eigenvalue_distribution(spectra, layer),
            files.cumulative_variance: spectrum_figures.cumulative_variance(spectra, layer),
        }
        for path, figure in pictures.items():
            spectrum_figures.save_png(figure, path)
    write_text(files.analysis, spectrum_table(layer, spectra))
