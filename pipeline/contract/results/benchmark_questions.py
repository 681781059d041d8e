"""The questions of benchmarks as the models answered them: one by one, and all of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contract.files import append_json_lines, read_json_lines
from pipeline.contract.results.benchmarks import BY_LENGTH, WHOLE
from pipeline.contract.results.common import (
    Row,
    checked,
    damaged,
    read_table,
    readable,
    where,
    write_table,
)
from pipeline.contract.results.generation import MODELS, ModelName
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import pyarrow as pa

_STAGE = "benchmark"


@dataclass(frozen=True)
class BenchmarkAnswer:
    """What a model answered to a question that was put in one way."""

    question: str
    way: str
    prediction: str
    scores: dict[str, float]
    """By how it was scored; a share of 1. Empty = refused: the question does not fit the model."""
    log_likelihoods: tuple[float, ...] = ()
    """Of the choices, nats, summed over tokens."""
    cut: int = 0
    """Tokens of the few-shot part that did not fit."""
    text: str = ""
    """All that was written; `prediction` is the answer in it."""


class AnswerStore:
    """A model's answers so far, one JSON object a line, so that a stopped benchmark goes on."""

    def __init__(self, run: RunDir, benchmark: str, model: str, path: Path | None = None) -> None:
        """`path`: of answers that another worker has given, instead of the run's own."""
        self._run, self._of = run, (benchmark, model)
        self._path = path or run.benchmark_answers(benchmark, model)

    def at(self, path: Path) -> AnswerStore:
        """The same model's answers in another file."""
        return AnswerStore(self._run, *self._of, path)

    def read(self) -> dict[tuple[str, str], BenchmarkAnswer]:
        """The answers that were written whole, by question and way.

        Raises:
            DamagedResultError: a line is no answer.
        """
        with readable(self._run, _STAGE, self._path):
            lines = list(read_json_lines(self._path))
        kind = tuple[BenchmarkAnswer, ...]
        answers: tuple[BenchmarkAnswer, ...] = checked(self._run, _STAGE, self._path, kind, lines)
        return {(answer.question, answer.way): answer for answer in answers}

    def add(self, answers: Sequence[BenchmarkAnswer]) -> None:
        """Appends."""
        append_json_lines(self._path, map(asdict, answers))


@dataclass(frozen=True)
class QuestionRow:
    """A row of questions.parquet: one model's answer to a question under one scoring."""

    model: ModelName
    benchmark: str
    task: str
    question_id: str
    way: str
    scored_by: str
    """A way may be scored in more than one manner."""
    examples: str
    """The few-shot part of the prompt."""
    prompt: str
    choices: Sequence[str]
    """Empty where the answer was written."""
    log_likelihoods: Sequence[float]
    """Of the choices, nats, summed over tokens."""
    gold: Sequence[str]
    """Right choices, or accepted answers."""
    prediction: str
    text: str
    """All that was written, where the question is open."""
    score: float | None
    """None: the question does not fit the model."""
    cut_tokens: int
    """That the few-shot part lost."""


@dataclass(frozen=True)
class Reply:
    """What one model made of a question."""

    prediction: str
    score: float | None
    """None: the question does not fit the model."""
    log_likelihoods: tuple[float, ...]
    """Of the choices, in nats; empty where the answer was written."""
    text: str
    """All that was written."""
    cut: int
    """Tokens of the few-shot examples that were cut off."""

    @property
    def shares(self) -> list[float]:
        """Each choice's probability as a share of all choices' together."""
        top = max(self.log_likelihoods, default=0.0)
        weights = [math.exp(one - top) for one in self.log_likelihoods]
        return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with its choices, and the models' replies."""

    id: str
    task: str
    prompt: str
    """Without the few-shot examples."""
    choices: tuple[str, ...]
    """Empty where the answer was written."""
    gold: tuple[str, ...]
    """Right choices, or accepted answers."""
    by_length: bool
    """Whether log-likelihoods are divided by the choices' lengths in characters."""
    replies: dict[ModelName, Reply] = field(default_factory=dict)

    def pick(self, reply: Reply) -> str:
        """The choice that counts: the likeliest, or the likeliest for its length."""
        if not self.by_length or not reply.log_likelihoods:
            return reply.prediction
        pairs = zip(self.choices, reply.log_likelihoods, strict=True)
        return max(pairs, key=lambda pair: pair[1] / max(1, len(pair[0])))[0]


@lru_cache(maxsize=1)
def schema() -> pa.Schema:
    """The columns of questions.parquet, as `QuestionRow` tells them."""
    import pyarrow as pa

    texts = ("model", "benchmark", "task", "question_id", "way", "scored_by", "examples", "prompt")
    return pa.schema(
        [
            *((name, pa.string()) for name in texts),
            ("choices", pa.list_(pa.string())),
            ("log_likelihoods", pa.list_(pa.float64())),
            ("gold", pa.list_(pa.string())),
            ("prediction", pa.string()),
            ("text", pa.string()),
            ("score", pa.float64()),
            ("cut_tokens", pa.int32()),
        ]
    )


def write_questions(run: RunDir, folder: str, rows: Iterable[QuestionRow]) -> None:
    """Writes every answer into the folder of a benchmarking."""
    import pyarrow as pa

    table = pa.Table.from_pylist([vars(row) for row in rows], schema())
    write_table(run.benchmark_questions(folder), table)


def read_questions(
    run: RunDir, folder: str, benchmark: str, task: str, scored_by: str
) -> list[AnsweredQuestion]:
    """The questions behind one score, in the benchmark's order; `folder`: the summary's.

    Raises:
        MissingResultError, DamagedResultError: they cannot be read.
    """
    path = run.benchmark_questions(folder)
    # the few-shot examples are most of the file, and nothing shows them
    columns = [name for name in schema().names if name != "examples"]
    table = read_table(run, _STAGE, path, schema(), columns)
    wanted = {"benchmark": benchmark, "scored_by": scored_by}
    if task != WHOLE:
        wanted["task"] = task
    for name, value in wanted.items():
        table = where(table, [found == value for found in table[name].to_pylist()])
    rows = table.to_pylist()
    for row in rows:
        _require_whole(run, path, row)
    return list(_questions(rows, scored_by.endswith(BY_LENGTH)))


def _require_whole(run: RunDir, path: Path, row: Row) -> None:
    for name, value in row.items():
        if value is None and name != "score":
            raise damaged(run, _STAGE, path, f"column {name} has a row without a value")
    if row["model"] not in MODELS:
        raise damaged(run, _STAGE, path, f"there is no model {row['model']!r}")
    count = len(row["log_likelihoods"])
    if count not in (0, len(row["choices"])):
        reason = f"question {row['question_id']} has {count} log-likelihoods"
        raise damaged(run, _STAGE, path, f"{reason} of {len(row['choices'])} choices")


def _questions(rows: Sequence[Row], by_length: bool) -> Iterator[AnsweredQuestion]:
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        by_id.setdefault(row["question_id"], []).append(row)
    for name, own in by_id.items():
        first = own[0]
        yield AnsweredQuestion(
            id=name,
            task=first["task"],
            prompt=first["prompt"],
            choices=tuple(first["choices"]),
            gold=tuple(first["gold"]),
            by_length=by_length,
            replies={row["model"]: _reply(row) for row in own},
        )


def _reply(row: Row) -> Reply:
    return Reply(
        prediction=row["prediction"],
        score=row["score"],
        log_likelihoods=tuple(row["log_likelihoods"]),
        text=row["text"],
        cut=row["cut_tokens"],
    )
