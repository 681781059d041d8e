"""Figures of the evaluation: scores beside chance, and differences of the two models.

Base and trained are told apart by their fill, so that a grey print tells them apart too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.contract.results.benchmarks import (
    BenchmarkComparison,
    BenchmarkScore,
    scoring_title,
)
from pipeline.contract.results.evaluation import AnswerMetric
from pipeline.contract.results.validation import Part, ValidationSummary, findings
from pipeline.contract.results.verdict import UNDECIDED, Difference, Estimate
from pipeline.report.style import COLORS, PALE, framed

_ROW_INCHES = 0.3


def benchmark_scores(scores: Sequence[BenchmarkScore]) -> Figure:
    """A line a benchmark, task and manner of scoring: both models' scores and chance, percent."""
    names = list(dict.fromkeys(_name(row) for row in scores))
    figure, axes = _lines(names)
    for row in scores:
        trained = row.model == "trained"
        line = names.index(_name(row))
        height = line + (0.13 if trained else -0.13)
        _interval(axes, row, height)
        axes.plot(
            100 * row.value, height, "o", ms=4.5, mec=COLORS[0],
            mfc=COLORS[0] if trained else "white", label=row.model,
        )  # fmt: skip
        axes.plot(100 * row.chance, line, "|", ms=13, mew=1.2, color=PALE, label="chance")
    axes.set_xlabel("score, %")
    axes.set_xlim(0, 100)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, loc="upper left",
                bbox_to_anchor=(1.0, 1.0))  # fmt: skip
    return figure


def metric_changes(metrics: Sequence[AnswerMetric]) -> Figure:
    """Trained minus base of every metric that is a share, percentage points, with its interval."""
    return _changes([(row.title, row) for row in metrics if row.is_share])


def all_changes(
    metrics: Sequence[AnswerMetric], comparisons: Sequence[BenchmarkComparison]
) -> Figure | None:
    """As `metric_changes`, with the benchmarks; None where there is neither."""
    rows: list[tuple[str, AnswerMetric | BenchmarkComparison]] = [
        *((row.title, row) for row in metrics if row.is_share),
        *((_name(row), row) for row in comparisons),
    ]
    return _changes(rows) if rows else None


def validation(summary: ValidationSummary) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Gives (name, what draws it) of each part of a validation that was asked for."""
    labels: Mapping[Part, str] = {
        "removal": "ln p with everything − ln p without the examples, nats",
        "datamodeling": "linear datamodeling score",
        "tail_patch": "ln p after a step on the example − ln p before, nats",
    }
    for part, label in labels.items():
        if estimates := {one.name: one.estimate for one in findings(summary, part)}:
            yield part, partial(_estimates, estimates, label)


def _estimates(estimates: Mapping[str, Estimate], label: str) -> Figure:
    """A line a method: its value with the interval."""
    figure, axes = _lines(list(estimates))
    axes.axvline(0, color=PALE, lw=1)
    for height, one in enumerate(estimates.values()):
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [height, height], color=COLORS[0], lw=1.2)
        axes.plot(one.value, height, "s", ms=5, mec=COLORS[0], mfc=COLORS[0])
    axes.set_xlabel(label, loc="right")  # a long one goes on to the left
    return figure


def _changes(rows: Sequence[tuple[str, AnswerMetric | BenchmarkComparison]]) -> Figure:
    figure, axes = _lines([name for name, _ in rows])
    axes.axvline(0, color=PALE, lw=1)
    for line, (_, row) in enumerate(rows):
        shown = row.verdict != UNDECIDED
        _interval(axes, row, line)
        axes.plot(
            100 * row.difference, line, "s", ms=5, mec=COLORS[0],
            mfc=COLORS[0] if shown else "white",
        )  # fmt: skip
    axes.set_xlabel(
        "trained − base, percentage points (filled: a difference is shown)", loc="right"
    )
    return figure


def _interval(axes: Axes, row: Estimate | Difference, height: float) -> None:
    if row.low is not None and row.high is not None:
        axes.plot([100 * row.low, 100 * row.high], [height, height], color=COLORS[0], lw=1.2)


def _name(row: BenchmarkScore | BenchmarkComparison) -> str:
    task = "" if row.task == row.benchmark else f" · {row.task.replace('_', ' ')}"
    return f"{row.benchmark}{task} · {scoring_title(row.scored_by)}"


def _lines(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Axes with a line a name, the first one on top."""
    figure = Figure(figsize=(7.2, 0.8 + _ROW_INCHES * len(names)), layout="tight")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    framed(axes)
    axes.grid(False, axis="y")
    return figure, axes
