"""Scores of benchmarks: with intervals, beside chance, and base against trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.contract.results.benchmarks import WHOLE
from pipeline.evaluation.benchmarks.mended import Mended
from pipeline.evaluation.questions import Answer, Open, Question, chance
from pipeline.evaluation.statistics import mcnemar, mean, paired_difference

Table = list[dict[str, Any]]

QUESTION_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("benchmark", pa.string()),
        ("task", pa.string()),
        ("question_id", pa.string()),
        ("way", pa.string()),  # how it was put: letters, texts, written
        ("scored_by", pa.string()),  # a way may be scored in more than one manner
        ("examples", pa.string()),  # the few-shot part of the prompt
        ("prompt", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("log_likelihoods", pa.list_(pa.float64())),  # of the choices, nats, summed over tokens
        ("gold", pa.list_(pa.string())),  # right choices, or accepted answers
        ("prediction", pa.string()),
        ("text", pa.string()),  # all that was written, where the question is open
        ("score", pa.float64()),  # null = refused: the question does not fit the model
        ("cut_tokens", pa.int32()),  # that the few-shot part lost
    ]
)


class Sheet:
    """The answers of one or two models to one benchmark's questions."""

    def __init__(
        self,
        benchmark: Mended,
        questions: Sequence[Question],
        answers: Mapping[str, Sequence[Answer]],
    ) -> None:
        self.benchmark = benchmark
        self._questions = {question.id: question for question in questions}
        self._answers = answers
        self._scores = {
            model: {(a.question, by): score for a in given for by, score in a.scores.items()}
            for model, given in answers.items()
        }

    def scores(self, seed: int) -> Table:
        """One row a model, task and manner of scoring."""
        rows: Table = []
        for task, by, ids in self._cells():
            for model, found in self._scores.items():
                values = [found[name, by] for name in ids if (name, by) in found]
                if values:
                    guess = float(np.mean([self._chance(name, by) for name in ids]))
                    place = {"benchmark": self.benchmark.name, "task": task, "scored_by": by}
                    counts = {"refused": len(ids) - len(values), "chance": guess}
                    rows.append({**place, "model": model, **asdict(mean(values, seed)), **counts})
        return rows

    def comparisons(self, seed: int) -> Table:
        """Base against trained on the questions that both answered."""
        if set(self._scores) != {"base", "trained"}:
            return []
        rows: Table = []
        base, trained = self._scores["base"], self._scores["trained"]
        for task, by, ids in self._cells():
            both = [name for name in ids if (name, by) in base and (name, by) in trained]
            if not both:
                continue
            first = [base[name, by] for name in both]
            second = [trained[name, by] for name in both]
            place = {"benchmark": self.benchmark.name, "task": task, "scored_by": by}
            gain = asdict(paired_difference(first, second, seed))
            if np.isin([first, second], (0.0, 1.0)).all():
                test = asdict(mcnemar(first, second))
            else:
                test = {"only_first": None, "only_second": None}
            rows.append({**place, **gain, **test})
        return rows

    def cut(self) -> int:
        """How many questions lost few-shot examples."""
        return len({answer.question for answer in self._first() if answer.cut})

    def refused(self) -> int:
        """How many questions do not fit the model."""
        return len({answer.question for answer in self._first() if not answer.scores})

    def refused_written(self) -> bool:
        """Whether questions to be answered in words are among those that do not fit."""
        return any(answer.way == "written" for answer in self._first() if not answer.scores)

    def _first(self) -> Sequence[Answer]:
        return next(iter(self._answers.values()))

    def __len__(self) -> int:
        return len(self._questions)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every answer, for `QUESTION_SCHEMA`."""
        for model, given in self._answers.items():
            for answer in given:
                for by, score in answer.scores.items() or [(answer.way, None)]:
                    yield {"model": model, "scored_by": by, "score": score, **self._told(answer)}

    def _told(self, answer: Answer) -> dict[str, Any]:
        question = self._questions[answer.question]
        asked = question.ways[answer.way]
        if isinstance(asked, Open):
            prompt, choices, gold = asked.question, list[str](), list(asked.accepted)
        else:
            prompt, choices = asked.shown
            gold = [choices[place] for place in asked.gold]
        return {
            "benchmark": self.benchmark.name,
            "task": question.task,
            "question_id": question.id,
            "way": answer.way,
            "examples": asked.examples,
            "prompt": prompt,
            "choices": choices,
            "log_likelihoods": list(answer.log_likelihoods),
            "gold": gold,
            "prediction": answer.prediction,
            "text": answer.text,
            "cut_tokens": answer.cut,
        }

    def _cells(self) -> Iterator[tuple[str, str, list[str]]]:
        """(task, manner of scoring, question ids) of every cell, tasks together last."""
        manners = dict.fromkeys(by for found in self._scores.values() for _, by in found)
        for by in manners:
            way = next(w for w in ("letters", "texts", "written") if by.startswith(w))
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
        way = next(w for w in self._questions[name].ways if by.startswith(w))
        return chance(self._questions[name].ways[way])
