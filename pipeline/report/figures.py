"""The report's figures, as SVG that follows a light or a dark page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.contract.results.learning_curves import LOSS, VALIDATION_LOSS, Curves
from pipeline.contract.results.spectra import KINDS, TITLES, Kind, Spectrum
from pipeline.report.style import COLORS, DASHES, framed, page_figure_style, page_svg

_STRETCHES = 1_000
"""More than a page has pixels for."""


def loss_curve(curves: Curves, base: float | None) -> str | None:
    """Training and validation loss by step; None where no loss was told."""
    names = {LOSS: "training", VALIDATION_LOSS: "validation"}
    drawn = [name for name in names if name in curves]
    if not drawn:
        return None
    with page_figure_style():
        figure = Figure(figsize=(6.6, 2.9), layout="tight")
        axes = figure.subplots()
        for name in drawn:
            steps, values = thinned(*map(np.asarray, curves[name]))
            number = list(names).index(name)
            marker = "o" if name == VALIDATION_LOSS else None
            axes.plot(
                steps, values, color=COLORS[number], ls=DASHES[number], marker=marker,
                ms=3.5, label=names[name],
            )  # fmt: skip
        if base is not None:
            axes.axhline(base, color=COLORS[-1], ls=":", lw=1, label="validation, before training")
        axes.set(xlabel="optimiser step", ylabel="loss (nats a token)", ylim=(0, None))
        framed(axes)
        axes.legend(frameon=False)
        return page_svg(figure)


def thinned(
    steps: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The lowest and the highest of every few readings, where there are more than can be seen."""
    width = -(-len(steps) // _STRETCHES)
    if width <= 2:
        return steps, values
    begins = range(0, len(steps), width)
    parts = [(begin, values[begin : begin + width]) for begin in begins]
    ends = [begin + pick(part) for begin, part in parts for pick in (np.argmin, np.argmax)]
    kept = np.unique(ends)
    return steps[kept], values[kept]


def effective_ranks(spectra: Sequence[Spectrum]) -> str | None:
    """Effective rank of every module by layer, as a share of the eigenvalues there are."""
    shown = [kind for kind in KINDS if any(one.kind == kind for one in spectra)]
    lines = _lines_by_layer(spectra)
    if not lines:
        return None
    modules = list(dict.fromkeys(module for _, module in lines))
    with page_figure_style():
        figure = Figure(figsize=(2.4 * len(shown) + 0.6, 2.6), layout="tight")
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for (kind, module), points in lines.items():
            axes, number = panels[shown.index(kind)], modules.index(module)
            layers, shares = zip(*sorted(points), strict=True)
            axes.plot(
                layers, shares, color=COLORS[number % len(COLORS)],
                ls=DASHES[number % len(DASHES)], marker="o", ms=3, label=module,
            )  # fmt: skip
        for axes, kind in zip(panels, shown, strict=True):
            axes.set_title(TITLES[kind], loc="left")
            axes.set(xlabel="layer", ylim=(0, None))
            axes.xaxis.get_major_locator().set_params(integer=True)
            framed(axes)
        panels[0].set_ylabel("effective rank, % of count")
        panels[-1].legend(frameon=False, fontsize=7)
        return page_svg(figure)


def _lines_by_layer(
    spectra: Sequence[Spectrum],
) -> dict[tuple[Kind, str], list[tuple[int, float]]]:
    """(kind, module's last name) → (layer, percent)."""
    lines: dict[tuple[Kind, str], list[tuple[int, float]]] = {}
    for one in spectra:
        if one.layer is not None and one.statistics.effective_rank:
            share = 100 * one.statistics.effective_rank / one.statistics.count
            key = one.kind, one.module.rsplit(".", 1)[-1]
            lines.setdefault(key, []).append((one.layer, share))
    return lines
