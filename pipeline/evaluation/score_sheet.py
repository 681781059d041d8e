"""Scores of benchmarks: with intervals, beside chance, and base against trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from pipeline.contract.results.benchmark_questions import BenchmarkAnswer, QuestionRow
from pipeline.contract.results.benchmarks import (
    WHOLE,
    BenchmarkComparison,
    BenchmarkScore,
    way_of,
)
from pipeline.contract.results.generation import ModelName
from pipeline.contract.results.verdict import verdict
from pipeline.evaluation.benchmarks.benchmark import Benchmark
from pipeline.evaluation.questions import BenchmarkQuestion, Open, chance
from pipeline.evaluation.statistics import mcnemar, mean, paired_difference


class Sheet:
    """The answers of one or two models to one benchmark's questions."""

    def __init__(
        self,
        benchmark: Benchmark,
        questions: Sequence[BenchmarkQuestion],
        answers: Mapping[ModelName, Sequence[BenchmarkAnswer]],
    ) -> None:
        self.benchmark = benchmark
        self._questions = {question.id: question for question in questions}
        self._answers = answers
        self._scores = {
            model: {(a.question, by): score for a in given for by, score in a.scores.items()}
            for model, given in answers.items()
        }

    def scores(self, seed: int) -> Iterator[BenchmarkScore]:
        """One a model, task and manner of scoring."""
        for task, by, ids in self._cells():
            for model, by_question in self._scores.items():
                values = [by_question[name, by] for name in ids if (name, by) in by_question]
                if values:
                    yield BenchmarkScore(
                        **asdict(mean(values, seed)),
                        benchmark=self.benchmark.name,
                        task=task,
                        scored_by=by,
                        model=model,
                        refused=len(ids) - len(values),
                        chance=float(np.mean([self._chance(name, by) for name in ids])),
                    )

    def comparisons(self, seed: int) -> Iterator[BenchmarkComparison]:
        """Base against trained on the questions that both answered."""
        if set(self._scores) != {"base", "trained"}:
            return
        base, trained = self._scores["base"], self._scores["trained"]
        for task, by, ids in self._cells():
            both = [name for name in ids if (name, by) in base and (name, by) in trained]
            if both:
                first = [base[name, by] for name in both]
                second = [trained[name, by] for name in both]
                yield self._compared(task, by, first, second, seed)

    def _compared(
        self, task: str, by: str, first: list[float], second: list[float], seed: int
    ) -> BenchmarkComparison:
        gain = paired_difference(first, second, seed)
        only_first = only_second = None
        if np.isin([first, second], (0.0, 1.0)).all():  # right or wrong: the exact test
            test = mcnemar(first, second)
            gain = replace(gain, p_value=test.p_value)
            only_first, only_second = test.only_first, test.only_second
        return BenchmarkComparison(
            **asdict(gain),
            benchmark=self.benchmark.name,
            task=task,
            scored_by=by,
            only_first=only_first,
            only_second=only_second,
            verdict=verdict(gain),
        )

    def cut(self) -> int:
        """How many questions lost few-shot examples."""
        return len({answer.question for answer in self._first() if answer.cut})

    def refused(self) -> int:
        """How many questions do not fit the model."""
        return len({answer.question for answer in self._first() if not answer.scores})

    def refused_written(self) -> bool:
        """Whether questions to be answered in words are among those that do not fit."""
        return any(answer.way == "written" for answer in self._first() if not answer.scores)

    def _first(self) -> Sequence[BenchmarkAnswer]:
        return next(iter(self._answers.values()))

    def __len__(self) -> int:
        return len(self._questions)

    def rows(self) -> Iterator[QuestionRow]:
        """Every answer, by every manner in which it was scored."""
        for model, given in self._answers.items():
            for answer in given:
                scores: Mapping[str, float | None] = answer.scores or {answer.way: None}
                for by, score in scores.items():
                    yield self._row(model, answer, by, score)

    def _row(
        self, model: ModelName, answer: BenchmarkAnswer, by: str, score: float | None
    ) -> QuestionRow:
        question = self._questions[answer.question]
        asked = question.ways[answer.way]
        if isinstance(asked, Open):
            prompt, choices, gold = asked.question, list[str](), list(asked.accepted)
        else:
            prompt, choices = asked.shown
            gold = [choices[index] for index in asked.gold]
        return QuestionRow(
            model=model,
            benchmark=self.benchmark.name,
            task=question.task,
            question_id=question.id,
            way=answer.way,
            scored_by=by,
            examples=asked.examples,
            prompt=prompt,
            choices=choices,
            log_likelihoods=list(answer.log_likelihoods),
            gold=gold,
            prediction=answer.prediction,
            text=answer.text,
            score=score,
            cut_tokens=answer.cut,
        )

    def _cells(self) -> Iterator[tuple[str, str, list[str]]]:
        """(task, manner of scoring, question ids) of every cell, tasks together last."""
        manners = dict.fromkeys(
            by for by_question in self._scores.values() for _, by in by_question
        )
        for by in manners:
            way = way_of(by)
            ids = [name for name, question in self._questions.items() if way in question.ways]
            tasks = dict.fromkeys(self._questions[name].task for name in ids)
            if len(tasks) > 1 and (self.benchmark.tasks or not self.benchmark.one_file):
                for task in tasks:
                    yield task, by, [n for n in ids if self._questions[n].task == task]
            if len(tasks) == 1:
                yield next(iter(tasks)), by, ids
            elif self.benchmark.adds_up:
                yield WHOLE, by, ids

    def _chance(self, name: str, by: str) -> float:
        return chance(self._questions[name].ways[way_of(by)])
