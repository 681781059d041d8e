"""Pictures of one layer's spectra, drawn without a display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType
from numpy.typing import NDArray

from pipeline.contract.files import replacing
from pipeline.contract.results.spectra import KINDS, TITLES
from pipeline.influence.spectra import MeasuredSpectrum
from pipeline.report.style import COLORS, DASHES, PALE, framed

_SHARES = (0.90, 0.95, 0.99)
_DPI = 120


def lambda_maps(
    spectra: Sequence[MeasuredSpectrum], layer: int, clip_percentile: float, colormap: str
) -> Figure:
    """Λ of every module (columns) and strategy (rows) on a logarithmic colour scale.

    The scale of each map ends at `clip_percentile` and begins at its mirror image, so that a few
    extreme entries do not take all the colours; what lies beyond shares the last one.
    """
    maps = [spectrum for spectrum in spectra if spectrum.heat is not None]
    strategies, modules = _names(maps)
    figure, grid = _grid(f"Λ, layer {layer}", len(strategies), len(modules))
    colors = colormaps[colormap].with_extremes(bad="#9a9a9a")
    for spectrum in maps:
        cell = strategies.index(spectrum.strategy), modules.index(spectrum.module)
        _lambda_map(grid[cell], spectrum, clip_percentile, colors)
    return figure


def eigenvalue_distribution(spectra: Sequence[MeasuredSpectrum], layer: int) -> Figure:
    """Eigenvalues by rank, both axes logarithmic: one row a strategy, one panel a kind."""

    def draw(axes: Axes, spectrum: MeasuredSpectrum, color: str, dash: LineStyleType) -> None:
        curve = spectrum.curve
        shown = curve.values > 0  # a log axis has no place for the others; the table counts them
        label = _short(spectrum.module)
        axes.plot(curve.ranks[shown], curve.values[shown], color=color, ls=dash, label=label)
        axes.set(xscale="log", yscale="log", xlabel="rank", ylabel="eigenvalue")

    return _panels(spectra, f"Eigenvalues, layer {layer}", draw)


def cumulative_variance(spectra: Sequence[MeasuredSpectrum], layer: int) -> Figure:
    """Share of the sum held by the largest eigenvalues: one row a strategy, one panel a kind."""

    def draw(axes: Axes, spectrum: MeasuredSpectrum, color: str, dash: LineStyleType) -> None:
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
                xytext=(2, 0), textcoords="offset points", fontsize=6.5, va="center",
            )  # fmt: skip
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Writes a picture, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png", facecolor="white")


def _lambda_map(axes: Axes, spectrum: MeasuredSpectrum, clip: float, colors: Colormap) -> None:
    heat = spectrum.heat
    assert heat is not None
    outputs, inputs = spectrum.shape
    axes.set_title(f"{_short(spectrum.module)} · {spectrum.strategy}", loc="left")
    axis = "parameters" if spectrum.strategy == "diagonal" else "eigen-directions, largest first"
    cells = (
        f"\ndrawn as {heat.shape[0]} × {heat.shape[1]} means"
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
        f"{spectrum.meaning}{cells}", (0, 0), xycoords="axes fraction", xytext=(0, -17),
        textcoords="offset points", fontsize=6.5, va="top", color="#555555",
    )  # fmt: skip


def _panels(
    spectra: Sequence[MeasuredSpectrum],
    title: str,
    draw: Callable[[Axes, MeasuredSpectrum, str, LineStyleType], None],
) -> Figure:
    strategies, modules = _names(spectra)
    kinds = [k for k in KINDS if any(s.kind == k for s in spectra)]
    figure, grid = _grid(title, len(strategies), len(kinds))
    for spectrum in spectra:
        index = modules.index(spectrum.module)
        axes = grid[strategies.index(spectrum.strategy), kinds.index(spectrum.kind)]
        axes.set_title(f"{TITLES[spectrum.kind]} · {spectrum.strategy}", loc="left")
        draw(axes, spectrum, COLORS[index % len(COLORS)], DASHES[index % len(DASHES)])
    for axes in grid.flat:
        if axes.get_title(loc="left"):
            framed(axes)
        else:
            axes.remove()
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.get_lines()}
    names = [_short(module) for module in modules if _short(module) in lines]
    figure.legend(
        [lines[name] for name in names], names, loc="upper right", ncols=len(names), frameon=False
    )
    return figure


def _grid(title: str, rows: int, columns: int) -> tuple[Figure, NDArray[Any]]:
    """Panels of one size with fixed margins in inches: measuring the text would cost seconds."""
    width, height, across, down = 2.9, 2.4, 0.85, 0.95  # of a panel, and between panels
    left, right, top, bottom = 0.65, 0.45, 0.75, 0.65
    size = (
        left + columns * width + (columns - 1) * across + right,
        top + rows * height + (rows - 1) * down + bottom,
    )
    figure = Figure(figsize=size)
    figure.suptitle(
        title, fontweight="bold", x=0.15 / size[0], y=1 - 0.15 / size[1], ha="left", va="top"
    )
    edges = {
        "left": left / size[0],
        "right": 1 - right / size[0],
        "top": 1 - top / size[1],
        "bottom": bottom / size[1],
        "wspace": across / width,
        "hspace": down / height,
    }
    return figure, figure.subplots(rows, columns, squeeze=False, gridspec_kw=edges)


def _names(spectra: Sequence[MeasuredSpectrum]) -> tuple[list[str], list[str]]:
    """Strategies and modules, each once, in order of appearance."""
    strategies = list(dict.fromkeys(spectrum.strategy for spectrum in spectra))
    return strategies, list(dict.fromkeys(spectrum.module for spectrum in spectra))


def _short(module: str) -> str:
    return module.rsplit(".", 1)[-1]
