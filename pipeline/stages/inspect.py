"""inspect: the spectra of the fitted factors, as tables and pictures.

Writes modules.csv (one row a strategy, module and kind), eigenvalues.parquet (the same rows with
the sorted values, see `SPECTRUM_SCHEMA`), lambda_maps.parquet (see `MAP_SCHEMA`), summary.json, and
for every layer layer_<n>/ with lambda_matrix.png, eigenvalue_distribution.png,
cumulative_variance.png, eigenvalue_analysis.txt.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib import colormaps

from pipeline.contract.errors import SettingsError
from pipeline.contract.files import replacing, write_json, write_text
from pipeline.contract.results.scores import layer_of
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import InspectSettings, Settings
from pipeline.influence.spectra import (
    FIGURE_NAMES,
    Spectrum,
    block_means,
    module_spectra,
    tracked_modules,
)
from pipeline.report import spectrum_figures
from pipeline.report.spectrum_table import spectrum_table
from pipeline.report.style import figure_style

_COLUMNS = ("strategy", "layer", "module", "kind", *FIGURE_NAMES, "meaning")

SPECTRUM_SCHEMA = pa.schema(
    [
        ("strategy", pa.string()),
        ("layer", pa.int32()),  # null for a module outside the decoder layers
        ("module", pa.string()),
        ("kind", pa.string()),  # activation, gradient or lambda
        ("count", pa.int64()),  # eigenvalues there are; more than are listed for a long spectrum
        ("ranks", pa.list_(pa.int64())),  # 1 = largest; every rank, or ranks evenly spaced in log
        ("values", pa.list_(pa.float64())),  # the eigenvalue at exactly that rank
        ("cumulative", pa.list_(pa.float64())),  # share of the sum up to that rank
    ]
)

_ROW_GROUP = 64  # spectra: a reader of one module passes over most of a long file

MAP_SCHEMA = pa.schema(
    [
        ("strategy", pa.string()),
        ("module", pa.string()),
        ("outputs", pa.int64()),  # of the whole Λ
        ("inputs", pa.int64()),
        ("rows", pa.int32()),  # of the values: block means, at most 128 a side
        ("columns", pa.int32()),
        ("values", pa.list_(pa.float32())),  # row by row, largest first; NaN = none is finite
    ]
)
_MAP_CELLS = 128
_PACKED: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Reads every strategy's factors, layer by layer, and draws each layer.

    Raises:
        SettingsError: there is no such colour map.
        MissingResultError: a strategy's factors are not there or not whole.
    """
    _check_colormap(settings.inspect.colormap)
    strategies: list[str] = [name for name in settings.factors.strategies if name != "identity"]
    warnings: list[str] = []
    if not strategies:
        warnings.append("identity fits no factors, so there are no spectra to show")
    modules = {name: tracked_modules(run.factors(name), name) for name in strategies}
    layers = _by_layer(modules)
    kept: list[Spectrum] = []
    with (
        replacing(run.lambda_maps) as temporary,
        pq.ParquetWriter(temporary, MAP_SCHEMA, **_PACKED) as maps,
    ):
        for number, (layer, names) in enumerate(layers.items()):
            spectra = list(_layer_spectra(run, names))
            warnings += _oddities(spectra)
            if layer is None:
                listed = ", ".join(dict.fromkeys(module for _, module in names))
                warnings.append(f"drawn in no picture, since they belong to no layer: {listed}")
            else:
                _draw_layer(run.layer(layer), layer, spectra, settings.inspect)
            maps.write_table(_map_table(spectra))
            kept += [_without_map(spectrum) for spectrum in spectra]
            events.progress(number + 1, len(layers), "layers")
    for message in warnings:
        events.warning(message)
    _write_tables(run, kept)
    summary = {
        "strategies": strategies,
        "layers": [layer for layer in layers if layer is not None],
        "modules": len({spectrum.module for spectrum in kept}),
        "warnings": warnings,
    }
    write_json(run.summary("inspect"), summary)


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


def _layer_spectra(run: RunDir, names: Iterable[tuple[str, str]]) -> Iterator[Spectrum]:
    for strategy, module in names:
        yield from module_spectra(run.factors(strategy), strategy, module)


def _oddities(spectra: Iterable[Spectrum]) -> Iterator[str]:
    for spectrum in spectra:
        bad = spectrum.figures.non_finite
        if bad:
            where = f"{spectrum.strategy}, {spectrum.module}, {spectrum.kind}"
            yield f"{where}: {bad} of {spectrum.figures.count} values are not finite; left out"


def _without_map(spectrum: Spectrum) -> Spectrum:
    """The maps of all layers together would fill the memory."""
    return Spectrum(**{**vars(spectrum), "heat": None})


def _map_table(spectra: Iterable[Spectrum]) -> pa.Table:
    rows = []
    for spectrum in spectra:
        if spectrum.heat is not None:
            heat = block_means(spectrum.heat, _MAP_CELLS)
            rows.append(
                {
                    "strategy": spectrum.strategy,
                    "module": spectrum.module,
                    **dict(zip(("outputs", "inputs"), spectrum.shape, strict=True)),
                    **dict(zip(("rows", "columns"), heat.shape, strict=True)),
                    "values": heat.ravel(),
                }
            )
    return pa.Table.from_pylist(rows, MAP_SCHEMA)


def _draw_layer(
    folder: Path, layer: int, spectra: list[Spectrum], settings: InspectSettings
) -> None:
    maps = (settings.clip_percentile, settings.colormap)
    with figure_style():
        pictures = {
            "lambda_matrix.png": spectrum_figures.lambda_maps(spectra, layer, *maps),
            "eigenvalue_distribution.png": spectrum_figures.eigenvalue_distribution(spectra, layer),
            "cumulative_variance.png": spectrum_figures.cumulative_variance(spectra, layer),
        }
        for name, figure in pictures.items():
            spectrum_figures.save_png(figure, folder / name)
    write_text(folder / "eigenvalue_analysis.txt", spectrum_table(layer, spectra))


def _write_tables(run: RunDir, spectra: list[Spectrum]) -> None:
    with replacing(run.module_table) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for spectrum in spectra:
            writer.writerow(
                {name: getattr(spectrum, name) for name in ("strategy", "layer", "module", "kind")}
                | asdict(spectrum.figures)
                | {"meaning": spectrum.meaning}
            )
    rows = [
        {
            "strategy": spectrum.strategy,
            "layer": spectrum.layer,
            "module": spectrum.module,
            "kind": spectrum.kind,
            "count": spectrum.figures.count,
            "ranks": spectrum.curve.ranks,
            "values": spectrum.curve.values,
            "cumulative": spectrum.curve.cumulative,
        }
        for spectrum in spectra
    ]
    with replacing(run.eigenvalues) as temporary:
        table = pa.Table.from_pylist(rows, SPECTRUM_SCHEMA)
        pq.write_table(table, temporary, row_group_size=_ROW_GROUP)
