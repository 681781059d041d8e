"""Figures of the evaluation: scores beside chance, and differences of the two models.

Base and trained are told apart by their fill, so that a grey print tells them apart too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.style import COLORS, PALE, framed
from pipeline.report.text import scoring

_ROW_INCHES = 0.3


def benchmark_scores(scores: Sequence[dict[str, Any]]) -> Figure:
    """A line a benchmark, task and manner of scoring: both models' scores and chance, percent."""
    names = list(dict.fromkeys(_name(row) for row in scores))
    figure, axes = _lines(names)
    for row in scores:
        trained = row["model"] == "trained"
        place = names.index(_name(row)) + (0.13 if trained else -0.13)
        value, low, high = (100 * row[key] for key in ("value", "low", "high"))
        axes.plot([low, high], [place, place], color=COLORS[0], lw=1)
        axes.plot(
            value, place, "o", ms=4.5, mec=COLORS[0], mfc=COLORS[0] if trained else "white",
            label=row["model"],
        )  # fmt: skip
        axes.plot(100 * row["chance"], names.index(_name(row)), "|", ms=13, mew=1.2, color=PALE,
                  label="chance")  # fmt: skip
    axes.set_xlabel("score, %")
    axes.set_xlim(0, 100)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, loc="upper left",
                bbox_to_anchor=(1.0, 1.0))  # fmt: skip
    return figure


def _name(row: dict[str, Any]) -> str:
    task = "" if row["task"] == row["benchmark"] else f" · {row['task'].replace('_', ' ')}"
    return f"{row['benchmark']}{task} · {scoring(row['scored_by'])}"


def _lines(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Axes with a line a name, the first one on top."""
    figure = Figure(figsize=(7.2, 0.8 + _ROW_INCHES * len(names)), layout="tight")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    framed(axes)
    axes.grid(False, axis="y")
    return figure, axes
