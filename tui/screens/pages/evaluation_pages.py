"""The pages of the evaluation: what their tables hold, and what is told of a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from textual.content import Content

from pipeline.contract.results.benchmarks import SCORINGS
from pipeline.contract.results.evaluation import LIKELIHOOD
from tui.content.answer_pair import SIGNS, answer_text, heading, origins_of, told_of
from tui.content.forest import forest, span_of
from tui.content.ink import Ink
from tui.content.rows import Cell, Column, Row
from tui.readers.clean import clean
from tui.readers.evaluation import (
    MODELS,
    AnswerPair,
    Answers,
    Benchmarks,
    Estimate,
    Interval,
    Metric,
    ModelName,
    Score,
)
from tui.readers.format import number
from tui.screens.mixins.tabled import Pane

_FOREST = 25
_VERDICTS: dict[str, Ink] = {"better": "good", "worse": "bad"}


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
    answers: Answers
    columns = (
        Column("metric"),
        Column("base", 7, right=True),
        Column("trained", 7, right=True),
        Column("change", 7, right=True),
        Column("95 % interval", 17, right=True),
        Column("around no change", _FOREST, spare=True),
        Column("p", 7, right=True, spare=True),
        Column("verdict", 19, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """One line a metric."""
        span = span_of((m.difference for m in self.answers.metrics if m.name != LIKELIHOOD), 0.0)
        for metric in self.answers.metrics:
            own = span if metric.name != LIKELIHOOD else span_of([metric.difference], 0.0)
            cells = [Cell(metric.title, "strong")]
            cells += [_measure(metric, metric.means[model]) for model in MODELS]
            cells += [
                _measure(metric, metric.difference.value, signed=True),
                Cell(_between(metric)),
                Cell(
                    forest(metric.difference, own, _FOREST, 0.0), "accent", metric.difference.value
                ),
                Cell(
                    "–" if metric.p_value is None else f"{metric.p_value:.2g}",
                    "dim",
                    metric.p_value,
                ),
                Cell(metric.verdict, _VERDICTS.get(metric.verdict, "dim")),
            ]
            yield Row(tuple(cells), metric)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """What the figures bear out."""
        metric, answers = row.item, self.answers
        lines = [
            Content.assemble((f"{metric.title}: ", "bold"), clean(metric.verdict)),
            Content(f"means over {metric.prompts} prompts with an expected answer; the interval is "
                    "of a paired bootstrap, p of a sign-flip test of the same pairs"),
        ]  # fmt: skip
        if signature := answers.signatures.get(metric.name):
            lines.append(Content.assemble(("signature  ", "$secondary"), clean(signature)))
        lines += [Content(), *_perplexities(answers)]
        lines += [Content.assemble(("! ", "$warning"), clean(text)) for text in answers.warnings]
        return (Pane("What it says", Content("\n").join(lines)),)


@dataclass(frozen=True)
class AnswersPage(Page):
    """Both models' answers to every prompt."""

    title = "Answers"
    answers: Answers
    columns = (
        Column("prompt", 16),
        Column("base"),
        Column("trained"),
        Column("F1 base", 8, right=True, spare=True),
        Column("trained", 8, right=True, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """One line a prompt."""
        for pair in self.answers.pairs:
            texts = [pair.answers[model].text.strip() for model in MODELS]
            cells = [Cell(pair.id, "strong"), *(Cell(text or "–") for text in texts)]
            cells += [_share(pair.answers[model].scores.get("f1")) for model in MODELS]
            yield Row(tuple(cells), pair, f"{pair.prompt} {pair.expected}")

    def heading(self, row: Row) -> Content:
        """Prompt and expected answer."""
        return heading(row.item)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """The answers side by side."""
        pair: AnswerPair = row.item
        titles, blank = self.answers.titles, Content("\n\n")
        other = {"base": "the trained has not", "trained": "the base has not"}

        def pane(model: ModelName) -> Pane:
            told = "not expected" if against_expected else other[model]
            text = answer_text(pair, model, against_expected)
            answer = pair.answers[model]
            parts = [text, told_of(answer, titles)]
            if model == "trained":
                parts.insert(1, origins_of(answer, self.answers))
            text = blank.join(parts)
            return Pane(f"{model} · {SIGNS[model]} {told}", text)

        return tuple(map(pane, MODELS))


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
        Column("trained around chance ┊", _FOREST, spare=True),
        Column("verdict", 19, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """One line a task and manner of scoring."""
        for score in self.benchmarks.scores:
            told = SCORINGS.get(score.scored_by, score.scored_by)
            cells = [Cell(score.benchmark, "strong"), Cell(score.task), Cell(told)]
            for model in MODELS:
                estimate = score.estimates.get(model)
                cells += [_share(estimate.score.value if estimate else None, _ink(estimate, score)),
                          _share(estimate.stderr if estimate else None, "dim")]  # fmt: skip
            shown = score.estimates.get("trained") or score.estimates.get("base")
            drawn = forest(shown.score, (0.0, 1.0), _FOREST, score.chance) if shown else ""
            verdict = score.change.verdict if score.change else ""
            cells += [_share(score.chance, "dim"), Cell(drawn, "accent"),
                      Cell(verdict, _VERDICTS.get(verdict, "dim"))]  # fmt: skip
            yield Row(tuple(cells), score)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """Both models' intervals, and where they differ."""
        score: Score = row.item
        head = f"{'model':<10}{'score':>7}{'stderr':>8}{'95 % interval':>16}"
        head += f"{'questions':>11}{'left out':>10}"
        lines = [Content.styled(head, "$secondary")]
        lines += [_estimate(model, one) for model, one in score.estimates.items()]
        lines += [_beside(score), Content(), *_change(score)]
        shots, limit = self.benchmarks.shots.get(score.benchmark), self.benchmarks.limit
        asked = f"only the first {limit} questions of each task" if limit else "all questions"
        lines.append(Content(f"{shots} few-shot examples; {asked}"))
        named = [text for text in self.benchmarks.warnings if text.startswith(score.benchmark)]
        lines += [Content.assemble(("! ", "$warning"), clean(text)) for text in named]
        return (Pane("What it says", Content("\n").join(lines)),)


def _measure(metric: Metric, value: float, signed: bool = False) -> Cell:
    """Shares in percent, log-likelihoods in nats."""
    if metric.name == LIKELIHOOD:
        return Cell(f"{value:+.3g}" if signed else number(value), value=value)
    return Cell(f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}", value=value)


def _between(metric: Metric) -> str:
    one = metric.difference
    if one.low is None or one.high is None:
        return "–"
    ends = (_measure(metric, end, signed=True).text for end in (one.low, one.high))
    return " to ".join(ends)


def _share(value: float | None, ink: Ink = "plain") -> Cell:
    return Cell("–" if value is None else f"{100 * value:.1f}", ink, value)


def _ink(estimate: Estimate | None, score: Score) -> Ink:
    """Good where the interval lies above chance; what holds chance is no evidence of knowledge."""
    low = estimate.score.low if estimate else None
    return "good" if low is not None and low > score.chance else "plain"


def _ends(one: Interval) -> str:
    if one.low is None or one.high is None:
        return "–"
    return f"{100 * one.low:.1f} to {100 * one.high:.1f}"


def _estimate(model: str, one: Estimate) -> Content:
    stderr = "–" if one.stderr is None else f"{100 * one.stderr:.1f}"
    figures = f"{100 * one.score.value:>7.1f}{stderr:>8}{_ends(one.score):>16}"
    return Content(f"{model:<10}{figures}{one.questions:>11,}{one.refused:>10,}")


def _beside(score: Score) -> Content:
    return Content.assemble(("chance    ", "$secondary"), f"{100 * score.chance:>7.1f}")


def _change(score: Score) -> Iterator[Content]:
    change = score.change
    if change is None:
        return
    told = f"trained − base: {100 * change.difference.value:+.1f} ({_ends(change.difference)})"
    p = "" if change.p_value is None else f", p {change.p_value:.2g}"
    yield Content(f"{told}{p}: {clean(change.verdict) or 'see the interval'}")
    if change.only_base is not None:
        yield Content(f"only base right {change.only_base:,}, only trained right "
                      f"{change.only_trained:,} (McNemar)")  # fmt: skip


def _perplexities(answers: Answers) -> Iterator[Content]:
    if not answers.perplexities:
        return
    yield Content.styled(
        f"{'perplexity':<20}{'training text':>15}{'held-out text':>15}", "$secondary"
    )
    for model, texts in answers.perplexities.items():
        found = (texts.get(name) for name in ("training", "validation"))
        yield Content(f"{model:<20}" + "".join(
            f"{'–' if value is None else number(value):>15}" for value in found
        ))  # fmt: skip
    yield Content()
