"""Benchmark questions as they are put to a model, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from pipeline.contract.results.benchmark_questions import BenchmarkAnswer
from pipeline.contract.results.benchmarks import BY_LENGTH, MASS
from pipeline.evaluation.likelihood import Likelihood


@dataclass(frozen=True)
class Ranked:
    """A question that is answered by ranking candidates by their log-likelihood."""

    examples: str
    """The few-shot part of the prompt."""
    pairs: tuple[tuple[str, str], ...]
    """(question, candidate), the candidate as it is appended."""
    gold: tuple[int, ...]
    """Which candidates are right."""
    by_length: bool = False
    """Whether log-likelihoods divided by the candidates' lengths in characters also count."""
    mass: bool = False
    """Scored by the right candidates' share of all candidates' probability."""

    @property
    def shown(self) -> tuple[str, list[str]]:
        """The question and its choices as a person reads them: where every candidate has a
        question of its own, what differs in these belongs to the choices."""
        questions = [question for question, _ in self.pairs]
        common = questions[0]
        if len(set(questions)) > 1:
            words = zip(*(question.split(" ") for question in questions), strict=False)
            same = takewhile(lambda column: len(set(column)) == 1, words)
            common = "".join(f"{word} " for word, *_ in same)
        return common, [(q[len(common) :] + candidate).strip() for q, candidate in self.pairs]


@dataclass(frozen=True)
class Open:
    """A question that is answered by writing."""

    examples: str
    question: str
    accepted: tuple[str, ...]
    stop: tuple[str, ...] = ("\n",)


@dataclass(frozen=True)
class BenchmarkQuestion:
    """One question of a benchmark, put in one or several ways."""

    id: str
    task: str
    ways: dict[str, Ranked | Open]
    """"letters": the letter, number or word that the prompt asks for; "texts": the options' own
    texts; "written": an answer in words."""
    row: dict[str, Any] = field(default_factory=dict)  # Any: as `data.Record`
    """What grading a written answer needs of the data set's row."""


def graded(
    question: BenchmarkQuestion, way: str, asked: Ranked, likelihoods: list[Likelihood], cut: int
) -> BenchmarkAnswer:
    """Scores a ranked question; the first of equally likely candidates is taken."""
    totals = np.array([one.total for one in likelihoods])
    labels = asked.shown[1]
    chosen = int(totals.argmax())
    if len(likelihoods) == 1:  # nothing to choose from: is it what the model would write?
        scores = {way: float(likelihoods[0].greedy)}
    elif asked.mass:
        shares = np.exp(totals - totals.max())
        scores = {f"{way}{MASS}": float(shares[list(asked.gold)].sum() / shares.sum())}
    else:
        scores = {way: float(chosen in asked.gold)}
    if asked.by_length:
        lengths = np.array([max(1, len(label)) for label in labels])
        scores[f"{way}{BY_LENGTH}"] = float(int((totals / lengths).argmax()) in asked.gold)
    return BenchmarkAnswer(question.id, way, labels[chosen], scores, tuple(totals.tolist()), cut)


def chance(asked: Ranked | Open) -> float:
    """What guessing would score on average."""
    if isinstance(asked, Open) or len(asked.pairs) == 1:
        return 0.0
    return len(asked.gold) / len(asked.pairs)
