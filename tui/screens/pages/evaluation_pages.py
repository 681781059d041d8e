"""The pages of the evaluation: what their tables hold, and what is told of a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from textual.content import Content

from pipeline.contract.results.benchmarks import (
    Benchmarks,
    BenchmarkScore,
    TaskScores,
    scoring_title,
)
from pipeline.contract.results.evaluation import (
    EXACT_MATCH,
    TOKEN_F1,
    AnswerMetric,
    AnswerPair,
    Evaluation,
)
from pipeline.contract.results.generation import MODELS, ModelName
from pipeline.contract.results.verdict import Difference, Estimate
from tui.content.answer_pair import SIGNS, answer_text, heading, origin_of, origins_of, told_of
from tui.content.forest import forest, interval_of, span_of
from tui.content.ink import Ink
from tui.content.rows import Cell, Column, Row
from tui.content.verdict_inks import VERDICT_INKS
from tui.readers.clean import clean
from tui.readers.format import number
from tui.screens.mixins.tabled import Pane

_FOREST = 25


@dataclass(frozen=True)
class Page:
    """A table and what is told of its rows."""

    title: ClassVar[str]
    file: str
    """What it shows, below the run."""
    stale: bool
    columns: tuple[Column, ...] = field(init=False, default=())

    def rows(self) -> Iterator[Row]:
        """The lines of the table."""
        raise NotImplementedError

    def heading(self, row: Row) -> Content:
        """A few lines above the panes."""
        return Content()

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """One text, or two side by side."""
        raise NotImplementedError


@dataclass(frozen=True)
class MetricsPage(Page):
    """Text metrics of base against trained, with intervals of their differences."""

    title = "Metrics"
    evaluation: Evaluation
    columns = (
        Column("metric"),
        Column("base", 7, right=True),
        Column("trained", 7, right=True),
        Column("change", 7, right=True),
        Column("95 % interval", 17, right=True),
        Column("┊ = no change", _FOREST, spare=True),
        Column("p", 7, right=True, spare=True),
        Column("verdict", 19, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """One line a metric."""
        metrics = self.evaluation.metrics
        span = span_of((interval_of(metric) for metric in metrics if metric.is_share), 0.0)
        for metric in metrics:
            change = interval_of(metric)
            own = span if metric.is_share else span_of([change], 0.0)
            cells = [Cell(metric.title, "strong")]
            cells += [_measure(metric, metric.of(model)) for model in MODELS]
            cells += [
                _measure(metric, metric.difference, signed=True),
                Cell(_between(metric)),
                Cell(forest(change, own, _FOREST, 0.0), "accent", metric.difference),
                Cell(
                    "–" if metric.p_value is None else f"{metric.p_value:.2g}",
                    "dim",
                    metric.p_value,
                ),
                Cell(metric.verdict, VERDICT_INKS[metric.verdict]),
            ]
            yield Row(tuple(cells), metric)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """What the figures bear out."""
        metric: AnswerMetric = row.item
        lines = [
            Content.assemble((f"{metric.title}: ", "bold"), metric.verdict),
            Content(f"means over {metric.n} prompts with an expected answer; the interval is "
                    "of a paired bootstrap, p of a sign-flip test of the same pairs"),
        ]  # fmt: skip
        if metric.metric == EXACT_MATCH:
            lines.append(Content(self.evaluation.exactness))
        if signature := self.evaluation.signatures.get(metric.metric):
            lines.append(Content.assemble(("signature  ", "$secondary"), clean(signature)))
        lines += [Content(), *_perplexities(self.evaluation)]
        warnings = self.evaluation.warnings
        lines += [Content.assemble(("! ", "$warning"), clean(text)) for text in warnings]
        return (Pane("What it says", Content("\n").join(lines)),)


@dataclass(frozen=True)
class AnswersPage(Page):
    """Both models' answers to every prompt."""

    title = "Answers"
    evaluation: Evaluation
    columns = (
        Column("prompt", 16),
        Column("base"),
        Column("trained"),
        Column("F1 base", 8, right=True, spare=True),
        Column("F1 trained", 10, right=True, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """One line a prompt."""
        for pair in self.evaluation.prompts:
            cells = [Cell(pair.prompt_id, "strong"), *(_answer(pair, model) for model in MODELS)]
            cells += [_share(pair.of(model).scores.get(TOKEN_F1)) for model in MODELS]
            yield Row(tuple(cells), pair, f"{pair.prompt} {pair.expected}")

    def heading(self, row: Row) -> Content:
        """Prompt and expected answer, and what exact match counts."""
        lines = [heading(row.item), Content.styled(self.evaluation.exactness, "$secondary")]
        return Content("\n").join(line for line in lines if line.plain)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """The answers side by side."""
        pair: AnswerPair = row.item
        titles = {metric.metric: metric.title for metric in self.evaluation.metrics}
        blank = Content("\n\n")
        other = {"base": "not in the trained model's", "trained": "not in the base's"}

        def pane(model: ModelName) -> Pane:
            legend = "not expected" if against_expected else other[model]
            text = answer_text(pair, model, against_expected)
            answer = pair.of(model)
            parts = [text, told_of(answer, titles)]
            if model == "trained":
                parts[1:1] = [origin_of(answer), origins_of(answer, self.evaluation)]
            text = blank.join(parts)
            return Pane(f"{model} · {SIGNS[model]} {legend}", text)

        return tuple(map(pane, MODELS))


def _answer(pair: AnswerPair, model: ModelName) -> Cell:
    """A model's answer, with a sign for whether it is the expected one."""
    text, known = pair.of(model).answer.strip() or "–", pair.is_known(model)
    if known is None:
        return Cell(text)
    is_fault = model == "trained" and not known  # of the base nothing else is to be expected
    return Cell(f"{'✓' if known else '✗'} {text}", "bad" if is_fault else "plain")


@dataclass(frozen=True)
class BenchmarksPage(Page):
    """Scores with their uncertainty, beside chance."""

    title = "Benchmarks"
    benchmarks: Benchmarks
    columns = (
        Column("benchmark", 11),
        Column("task"),
        Column("scored by", 15),
        Column("base", 5, right=True),
        Column("±", 4, right=True, spare=True),
        Column("trained", 7, right=True),
        Column("±", 4, right=True, spare=True),
        Column("chance", 6, right=True),
        Column("trained, ┊ = chance", _FOREST, spare=True),
        Column("verdict", 19, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """One line a task and manner of scoring."""
        for task in self.benchmarks.tasks():
            scoring = scoring_title(task.scored_by)
            cells = [Cell(task.benchmark, "strong"), Cell(task.task), Cell(scoring)]
            for model in MODELS:
                score = task.models.get(model)
                cells += [_share(score.value if score else None, _ink(score)),
                          _share(score.stderr if score else None, "dim")]  # fmt: skip
            shown = interval_of(task.models.get("trained") or task.models["base"])
            drawn = forest(shown, (0.0, 1.0), _FOREST, task.chance)
            cells += [_share(task.chance, "dim"), Cell(drawn, "accent"), _verdict(task)]
            yield Row(tuple(cells), task)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """Both models' intervals, and where they differ."""
        task: TaskScores = row.item
        head = f"{'model':<10}{'score':>7}{'stderr':>8}{'95 % interval':>16}"
        head += f"{'questions':>11}{'left out':>10}"
        lines = [Content.styled(head, "$secondary")]
        lines += [_estimate(score) for score in task.models.values()]
        lines += [_beside(task), Content(), *_change(task)]
        shots, limit = self.benchmarks.shots.get(task.benchmark), self.benchmarks.limit
        asked = f"only the first {limit} questions of each task" if limit else "all questions"
        lines.append(Content(f"{shots} few-shot examples; {asked}"))
        named = [text for text in self.benchmarks.warnings if text.startswith(task.benchmark)]
        lines += [Content.assemble(("! ", "$warning"), clean(text)) for text in named]
        return (Pane("What it says", Content("\n").join(lines)),)


def _measure(metric: AnswerMetric, value: float, signed: bool = False) -> Cell:
    """Shares in percent, log-likelihoods in nats."""
    if not metric.is_share:
        return Cell(f"{value:+.3g}" if signed else number(value), value=value)
    return Cell(f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}", value=value)


def _between(metric: AnswerMetric) -> str:
    if metric.low is None or metric.high is None:
        return "–"
    ends = (_measure(metric, end, signed=True).text for end in (metric.low, metric.high))
    return " to ".join(ends)


def _share(value: float | None, ink: Ink = "plain") -> Cell:
    return Cell("–" if value is None else f"{100 * value:.1f}", ink, value)


def _verdict(task: TaskScores) -> Cell:
    if task.comparison is None:
        return Cell("", "dim")
    return Cell(task.comparison.verdict, VERDICT_INKS[task.comparison.verdict])


def _ink(score: BenchmarkScore | None) -> Ink:
    """Good where the interval lies above chance; what holds chance is no evidence of knowledge."""
    known = score is not None and score.low is not None and score.low > score.chance
    return "good" if known else "plain"


def _ends(one: Estimate | Difference) -> str:
    if one.low is None or one.high is None:
        return "–"
    return f"{100 * one.low:.1f} to {100 * one.high:.1f}"


def _estimate(score: BenchmarkScore) -> Content:
    stderr = "–" if score.stderr is None else f"{100 * score.stderr:.1f}"
    figures = f"{100 * score.value:>7.1f}{stderr:>8}{_ends(score):>16}"
    return Content(f"{score.model:<10}{figures}{score.n:>11,}{score.refused:>10,}")


def _beside(task: TaskScores) -> Content:
    return Content.assemble(("chance    ", "$secondary"), f"{100 * task.chance:>7.1f}")


def _change(task: TaskScores) -> Iterator[Content]:
    change = task.comparison
    if change is None:
        return
    difference = f"trained − base: {100 * change.difference:+.1f} ({_ends(change)})"
    p = "" if change.p_value is None else f", p {change.p_value:.2g}"
    yield Content(f"{difference}{p}: {change.verdict}")
    if change.only_first is not None:
        yield Content(f"only base right {change.only_first:,}, only trained right "
                      f"{change.only_second:,} (McNemar)")  # fmt: skip


def _perplexities(evaluation: Evaluation) -> Iterator[Content]:
    if not evaluation.perplexities:
        return
    yield Content.styled(
        f"{'perplexity':<20}{'training text':>15}{'held-out text':>15}", "$secondary"
    )
    for model, texts in evaluation.perplexities.items():
        values = (texts.training, texts.validation)
        yield Content(f"{model:<20}" + "".join(
            f"{'–' if value is None else number(value):>15}" for value in values
        ))  # fmt: skip
    yield Content()
