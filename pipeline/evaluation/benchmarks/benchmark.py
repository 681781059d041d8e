"""What all benchmarks share: one of DeepEval's, corrected, that puts its questions as a whole.

DeepEval's own `evaluate` asks one question at a time (or wants batches that it then miscounts),
keeps nothing until the very end, and divides by the number asked for instead of the number there
are. The one here hands all questions to the model, which answers in batches of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import pandas as pd
from deepeval.benchmarks.base_benchmark import DeepEvalBaseBenchmark, DeepEvalBaseBenchmarkResult
from deepeval.dataset import Golden

from pipeline.contract.errors import DataError, SettingsError
from pipeline.contract.results.benchmark_questions import BenchmarkAnswer
from pipeline.evaluation.data import BenchmarkData, Record
from pipeline.evaluation.questions import BenchmarkQuestion, Ranked

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What the settings ask of a benchmark."""

    tasks: tuple[str, ...] = ()
    """() = all."""
    shots: int = -1
    """-1 = the benchmark's usual number."""
    limit: int = 0
    """Questions a task; where no task is named and tasks are but categories, in all. 0 = all."""
    seed: int = 0


class AnswersQuestions(Protocol):
    """A model that answers questions."""

    def answer(
        self, benchmark: Benchmark, questions: list[BenchmarkQuestion]
    ) -> list[BenchmarkAnswer]:
        """One answer for each way of each question."""


class Benchmark(DeepEvalBaseBenchmark):  # type: ignore[misc]
    """A benchmark of DeepEval's that knows its questions before it asks them."""

    name: ClassVar[str]
    usual_shots: ClassVar[int] = 0
    most_shots: ClassVar[int] = 0
    """0 = it has none, whatever is asked for."""
    one_file: ClassVar[bool] = True
    """Whether tasks are categories of one file's rows, so that all are read when none is named."""
    adds_up: ClassVar[bool] = True
    """Whether a score over all tasks together means something."""

    def __init__(self, data: BenchmarkData, options: Options) -> None:
        self.data = data
        self.options = options
        self.n_shots = self.usual_shots if options.shots < 0 else options.shots
        if self.n_shots > self.most_shots > 0:
            raise SettingsError(
                f"benchmark.shots = {options.shots}: {self.name} takes at most {self.most_shots}"
            )
        unknown = [task for task in options.tasks if task not in self.task_names()]
        if unknown:
            raise SettingsError(self._no_task(unknown[0]))
        self.tasks = list(options.tasks)
        self.predictions: pd.DataFrame | None = None
        self.task_scores: pd.DataFrame | None = None
        self.overall_score: float | None = None

    @classmethod
    def _no_task(cls, named: str) -> str:
        valid = cls.task_names()
        if not valid:
            return f"benchmark.chosen: {cls.name} has no tasks; name it alone: {cls.name}"
        close = get_close_matches(named, valid, n=1)
        meant = f"; did you mean {close[0]}?" if close else ";"
        return (
            f"benchmark.chosen: {cls.name} has no task {named!r}{meant} valid: {', '.join(valid)}"
        )

    @classmethod
    def task_names(cls) -> list[str]:
        """The tasks that can be named; [] = it has none."""
        return []

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The questions of a task in the file's order; "" = of all tasks."""
        raise NotImplementedError

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """The answer within a written text, and its scores; only for open questions."""
        raise NotImplementedError

    def named_tasks(self) -> list[str]:
        """The tasks to go through, in order; "" = all rows of the one file."""
        return list(self.options.tasks) or ([""] if self.one_file else self.usual_tasks())

    @classmethod
    def usual_tasks(cls) -> list[str]:
        """The tasks that stand for the whole benchmark."""
        return cls.task_names()

    def limited(self, task: str) -> list[BenchmarkQuestion]:
        """The questions of a task, as many as the options allow.

        Raises:
            DataError: there are none, or a candidate is empty; or see `BenchmarkData.rows`.
        """
        asked = list(islice(self.task_questions(task), self.options.limit or None))
        if not asked:
            raise DataError(f"{self.name}: there are no questions of task {task!r}")
        for question in asked:
            _require_texts(self.name, question)
        return asked

    def questions(self) -> list[BenchmarkQuestion]:
        """Every question that the options ask for."""
        return [question for task in self.named_tasks() for question in self.limited(task)]

    def load_benchmark_dataset(self, task: Any = None) -> list[Golden]:
        """The questions as DeepEval knows them."""
        name = getattr(task, "value", task) or ""
        return [
            Golden(input=_shown(question)[0], expected_output=_shown(question)[1])
            for question in self.task_questions(name)
        ]

    def evaluate(
        self, model: AnswersQuestions, *_args: Any, **_kwargs: Any
    ) -> DeepEvalBaseBenchmarkResult:
        """Puts every question to the model; fills DeepEval's own result fields."""
        asked = self.questions()
        answers = model.answer(self, asked)
        by_id = {question.id: question for question in asked}
        rows = [
            (by_id[a.question].task, *_shown(by_id[a.question]), a.prediction, a.way, score)
            for a in answers
            for score in list(a.scores.values())[:1]
        ]
        columns = ["Task", "Input", "Expected Output", "Prediction", "Way", "Correct"]
        predictions = pd.DataFrame(rows, columns=columns)
        way = answers[0].way
        first = predictions[predictions["Way"] == way]  # none: no question fits the model
        scores = first.groupby("Task", sort=False)["Correct"].mean().reset_index(name="Score")
        self.predictions, self.task_scores = predictions, scores
        self.overall_score = float(first["Correct"].mean())
        return DeepEvalBaseBenchmarkResult(overall_accuracy=self.overall_score)


def _require_texts(benchmark: str, question: BenchmarkQuestion) -> None:
    """Checks that no candidate is empty: a text of no tokens is certain, so it would always win."""
    for asked in question.ways.values():
        for place, (_, candidate) in enumerate(asked.pairs if isinstance(asked, Ranked) else ()):
            if not candidate.strip():
                raise DataError(
                    f"{benchmark}: candidate {place + 1} of question {question.id} is empty",
                    "mend or leave out its row in a folder of your own, which benchmark.data names",
                )


def _shown(question: BenchmarkQuestion) -> tuple[str, str]:
    """The question and its right answer as text."""
    asked = next(iter(question.ways.values()))
    if isinstance(asked, Ranked):
        right = [asked.pairs[number][1].strip() for number in asked.gold]
        return asked.pairs[asked.gold[0]][0], " | ".join(right)
    return asked.question, " | ".join(asked.accepted)


def ranked(
    examples: str, question: str, candidates: Iterable[str], gold: int, by_length: bool = False
) -> Ranked:
    """A question with one prompt for all candidates and one right answer."""
    pairs = tuple((question, candidate) for candidate in candidates)
    return Ranked(examples, pairs, (gold,), by_length=by_length)


def spaced(candidates: Iterable[str]) -> list[str]:
    """Candidates as they follow "Answer:"."""
    return [f" {candidate}" for candidate in candidates]


class FewShots(Generic[T]):
    """Few-shot examples, rendered once; a question is never among its own.

    Where one file serves for the examples and for the questions the next row stands in.

    Raises:
        DataError: there are fewer rows than examples.
    """

    def __init__(
        self,
        rows: Iterable[Record],
        count: int,
        what: str,
        render: Callable[[list[Record]], T],
    ) -> None:
        self._pool = list(islice(rows, count + 1)) if count else []
        self._render, self._count = render, count
        self._first = shots(self._pool, count, what)
        self._rendered = render(self._first)

    def of(self, row: Record) -> T:
        """The examples for a question."""
        if row not in self._first:
            return self._rendered
        return self._render([one for one in self._pool if one != row][: self._count])


def shots(rows: Iterable[Record], count: int, what: str) -> list[Record]:
    """The first `count` rows.

    Raises:
        DataError: there are fewer.
    """
    examples = list(islice(rows, count))
    if len(examples) < count:
        raise DataError(
            f"{what}: {count} few-shot examples are asked for and there are {len(examples)}",
            f"set benchmark.shots to {len(examples)} or less",
        )
    return examples
