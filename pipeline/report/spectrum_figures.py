"""Pictures of one layer's spectra, drawn without a display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure

from pipeline.contract.files import replacing
from pipeline.influence.spectra import Kind, Spectrum
from pipeline.report.style import COLORS, DASHES, PALE, framed

_KIND_TITLES: dict[Kind, str] = {
    "activation": "Activation covariance",
    "gradient": "Gradient covariance",
    "lambda": "Λ",
}
_SHARES = (0.90, 0.95, 0.99)
_DPI = 130


def lambda_maps(
    spectra: Sequence[Spectrum], layer: int, clip_percentile: float, colormap: str
) -> Figure:
    """Λ of every module (columns) and strategy (rows) on a logarithmic colour scale.

    The scale of each map ends at `clip_percentile` and begins at its mirror image, so that a few
    extreme entries do not take all the colours; what lies beyond shares the last one.
    """
    maps = [spectrum for spectrum in spectra if spectrum.heat is not None]
    strategies, modules = _names(maps)
    figure = Figure(figsize=(3.6 * len(modules) + 0.4, 3.5 * len(strategies) + 0.6))
    figure.suptitle(f"Λ, layer {layer}", fontweight="bold", x=0.02, ha="left")
    grid = figure.subplots(len(strategies), len(modules), squeeze=False)
    colors = colormaps[colormap].with_extremes(bad="#9a9a9a")
    for spectrum in maps:
        place = strategies.index(spectrum.strategy), modules.index(spectrum.module)
        _lambda_map(grid[place], spectrum, clip_percentile, colors)
    figure.tight_layout()
    return figure


def eigenvalue_distribution(spectra: Sequence[Spectrum], layer: int) -> Figure:
    """Eigenvalues by rank, both axes logarithmic: one row a strategy, one panel a kind."""

    def draw(axes: Axes, spectrum: Spectrum, color: str, dash: str) -> None:
        curve = spectrum.curve
        shown = curve.values > 0  # a log axis has no place for the others; the table counts them
        label = _short(spectrum.module)
        axes.plot(curve.ranks[shown], curve.values[shown], color=color, ls=dash, label=label)
        axes.set(xscale="log", yscale="log", xlabel="rank", ylabel="eigenvalue")

    return _panels(spectra, f"Eigenvalues, layer {layer}", draw)


def cumulative_variance(spectra: Sequence[Spectrum], layer: int) -> Figure:
    """Share of the sum held by the largest eigenvalues: one row a strategy, one panel a kind."""

    def draw(axes: Axes, spectrum: Spectrum, color: str, dash: str) -> None:
        curve, label = spectrum.curve, _short(spectrum.module)
        if len(curve.cumulative):
            axes.plot(curve.ranks, 100 * curve.cumulative, color=color, ls=dash, label=label)
        axes.set(xscale="log", xlabel="eigenvalues counted from the largest", ylabel="% of the sum")
        axes.set(ylim=(0, 102))

    figure = _panels(spectra, f"Cumulative variance, layer {layer}", draw)
    for axes in figure.axes:
        for share in _SHARES:
            axes.axhline(100 * share, color=PALE, lw=0.8, zorder=0)
            axes.annotate(
                f"{share:.0%}", (1.0, 100 * share), xycoords=("axes fraction", "data"),
                xytext=(2, 0), textcoords="offset points", fontsize=6, va="center",
            )  # fmt: skip
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Writes a picture, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png", facecolor="white")


def _lambda_map(axes: Axes, spectrum: Spectrum, clip: float, colors: Colormap) -> None:
    heat = spectrum.heat
    assert heat is not None
    outputs, inputs = spectrum.shape
    axes.set_title(f"{_short(spectrum.module)} · {spectrum.strategy}", loc="left")
    axis = "parameters" if spectrum.strategy == "diagonal" else "eigen-directions, largest first"
    cells = (
        f", drawn as {heat.shape[0]} × {heat.shape[1]} means"
        if heat.size < outputs * inputs
        else ""
    )
    axes.set_xlabel(f"{inputs} inputs ({axis})", fontsize=7)
    axes.set_ylabel(f"{outputs} outputs", fontsize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    positive = heat[np.isfinite(heat) & (heat > 0)]
    if len(positive) == 0:
        axes.text(0.5, 0.5, "no positive value", ha="center", transform=axes.transAxes)
        return
    low, high = (float(value) for value in np.percentile(positive, [100 - clip, clip]))
    norm = LogNorm(low, high if high > low else low * 10)
    shown = np.ma.masked_invalid(np.where(heat <= 0, low, heat))
    image = axes.imshow(shown, cmap=colors, norm=norm, aspect="auto", interpolation="nearest")
    bar = axes.figure.colorbar(image, ax=axes, extend="both", fraction=0.05, pad=0.03)
    bar.ax.tick_params(labelsize=7)
    axes.annotate(
        f"{spectrum.meaning}{cells}", (0, 0), xycoords="axes fraction", xytext=(0, -24),
        textcoords="offset points", fontsize=6, va="top", color="#555555",
    )  # fmt: skip


def _panels(
    spectra: Sequence[Spectrum], title: str, draw: Callable[[Axes, Spectrum, str, str], None]
) -> Figure:
    strategies, modules = _names(spectra)
    kinds: list[Kind] = [k for k in _KIND_TITLES if any(s.kind == k for s in spectra)]
    figure = Figure(figsize=(3.7 * len(kinds) + 0.4, 3.1 * len(strategies) + 0.6))
    figure.suptitle(title, fontweight="bold", x=0.02, ha="left")
    grid = figure.subplots(len(strategies), len(kinds), squeeze=False)
    for (strategy, kind), group in groupby(spectra, key=lambda s: (s.strategy, s.kind)):
        axes = grid[strategies.index(strategy), kinds.index(kind)]
        for spectrum in group:
            index = modules.index(spectrum.module)
            draw(axes, spectrum, COLORS[index % len(COLORS)], DASHES[index % len(DASHES)])
        axes.set_title(f"{_KIND_TITLES[kind]} · {strategy}", loc="left")
        framed(axes)
        axes.legend(fontsize=7, frameon=False)
    for axes in grid.flat:
        if not axes.has_data():
            axes.remove()
    figure.tight_layout()
    return figure


def _names(spectra: Sequence[Spectrum]) -> tuple[list[str], list[str]]:
    """Strategies and modules, each once, in order of appearance."""
    strategies = list(dict.fromkeys(spectrum.strategy for spectrum in spectra))
    return strategies, list(dict.fromkeys(spectrum.module for spectrum in spectra))


def _short(module: str) -> str:
    return module.rsplit(".", 1)[-1]
