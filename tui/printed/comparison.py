"""Two runs side by side: settings that differ, losses, answers, benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.benchmarks import (
    Benchmarks,
    load_benchmarks,
    scoring_title,
)
from pipeline.contract.results.evaluation import Evaluation, load_evaluation
from pipeline.contract.results.scores import ScoresSummary, load_scores_summary
from pipeline.contract.results.training import load_training
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from tui.printed.tables import Row, plain
from tui.readers.clean import clean

_LOSSES = "Losses, nats a token; lower is better"
_RANKINGS = "Rankings against the documents known to state the answer: MRR, 1 is perfect"
_ANSWERS = "The trained model's answers: percent, ln p in nats; higher is better"
_BENCHMARKS = "Benchmarks: percent of the questions answered rightly, with 95 % intervals"
_COUNTED = {_ANSWERS: "prompts", _BENCHMARKS: "questions"}
_NO_TEST = (
    "Changes between runs are not tested. One that lies within the intervals, or between answers\n"
    "to other prompts or questions, is no evidence."
)


@dataclass(frozen=True)
class Figure:
    """A result of one run."""

    part: str
    value: float
    share: bool = False
    """Whether it is a share of 1, to be read in percent."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Prompts or questions that it is of."""


def settings_rows(first: RunDir, second: RunDir) -> list[Row]:
    """Settings in which the runs differ."""
    a, b = (load_settings(run.settings) for run in (first, second))
    return [
        {"setting": f"{section}.{key}", first.name: str(one), second.name: str(other)}
        for section in Settings.model_fields
        for key, one in getattr(a, section).model_dump().items()
        if one != (other := getattr(getattr(b, section), key))
    ]


def result_rows(first: RunDir, second: RunDir) -> list[Row]:
    """Results that either run has and that are up to date, as they were written: shares of 1,
    losses and ln p in nats; None where one lacks it."""
    a, b = _results(first), _results(second)
    return [
        {
            "result": name,
            first.name: a[name].value if name in a else None,
            second.name: b[name].value if name in b else None,
            "change": b[name].value - a[name].value if name in a and name in b else None,
        }
        for name in dict.fromkeys([*a, *b])
    ]


def comparison_text(first: RunDir, second: RunDir) -> str:
    """Settings and results for reading, as the report writes its figures."""
    a, b = _results(first), _results(second)
    parts = [f"Settings that differ\n\n{plain(settings_rows(first, second))}"]
    for part in (_LOSSES, _RANKINGS, _ANSWERS, _BENCHMARKS):
        names = [name for name in dict.fromkeys([*a, *b]) if (a.get(name) or b[name]).part == part]
        rows = [
            {
                "": clean(name),
                first.name: _shown(a.get(name)),
                second.name: _shown(b.get(name)),
                "change": _change(a.get(name), b.get(name)),
                **(
                    {_COUNTED[part]: _counted(a.get(name), b.get(name))} if part in _COUNTED else {}
                ),
            }
            for name in names
        ]
        if rows:
            parts.append(f"{part}\n\n{plain(rows, right=(first.name, second.name, 'change'))}")
    if len(parts) == 1:
        return f"{parts[0]}\n\nNeither run has results that are up to date."
    return "\n\n".join([*parts, _NO_TEST])


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    if not figure.share:
        return f"{figure.value:.4g}"
    if figure.low is None or figure.high is None:
        return f"{100 * figure.value:.1f}"
    return f"{100 * figure.value:.1f} ({100 * figure.low:.1f} – {100 * figure.high:.1f})"


def _change(one: Figure | None, other: Figure | None) -> str:
    if one is None or other is None:
        return "–"
    gain = other.value - one.value
    return f"{100 * gain:+.1f}" if one.share else f"{gain:+.3g}"


def _counted(one: Figure | None, other: Figure | None) -> str:
    """How many prompts or questions the figures are of, both where they differ."""
    counts = [str(figure.n) for figure in (one, other) if figure and figure.n is not None]
    return " / ".join(dict.fromkeys(counts))


def _results(run: RunDir) -> dict[str, Figure]:
    results = dict(_losses(run))
    parts: tuple[Callable[[RunDir], Iterator[dict[str, Figure]]], ...]
    parts = (_fresh_rankings, _fresh_answers, _fresh_benchmarks)
    for part in parts:
        with suppress(MissingResultError):  # shown as missing beside the other run's
            for figures in part(run):
                results |= figures
    return results


def _fresh_rankings(run: RunDir) -> Iterator[dict[str, Figure]]:
    if (scores := load_scores_summary(run)).fresh:
        yield _ranking_figures(scores.value)


def _fresh_answers(run: RunDir) -> Iterator[dict[str, Figure]]:
    if (evaluation := load_evaluation(run)).fresh:
        yield _answer_figures(evaluation.value)


def _fresh_benchmarks(run: RunDir) -> Iterator[dict[str, Figure]]:
    if (benchmarks := load_benchmarks(run)).fresh:
        yield _benchmark_figures(benchmarks.value)


def _losses(run: RunDir) -> Iterator[tuple[str, Figure]]:
    try:
        training = load_training(run)
    except MissingResultError:
        return
    summary = training.value
    for title, value in (
        ("held-out text, before training", summary.base_validation_loss),
        ("held-out text", summary.validation_loss),
        ("training text, at the end", summary.train_loss),
    ):
        if training.fresh and value is not None:
            yield title, Figure(_LOSSES, value)


def _ranking_figures(scores: ScoresSummary) -> dict[str, Figure]:
    return {
        f"MRR, {method}": Figure(_RANKINGS, figures.mrr)
        for method, figures in scores.evaluation.items()
    }


def _answer_figures(evaluation: Evaluation) -> dict[str, Figure]:
    return {
        metric.title: Figure(_ANSWERS, metric.trained, metric.is_share, n=metric.n)
        for metric in evaluation.metrics
    }


def _benchmark_figures(benchmarks: Benchmarks) -> dict[str, Figure]:
    figures = {}
    for row in benchmarks.scores:
        named = " ".join(dict.fromkeys([row.benchmark, row.task.replace("_", " ")]))
        name = f"{named}, {scoring_title(row.scored_by)}, {row.model}"
        figures[name] = Figure(_BENCHMARKS, row.value, True, row.low, row.high, row.n)
    return figures
