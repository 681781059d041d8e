"""The questions of a benchmark as both models answered them. PyArrow is imported on first use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.contract.results.benchmarks import WHOLE
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from tui.readers.evaluation import ModelName, Score

_BY_LENGTH = "_by_length"
_COLUMNS = ["model", "task", "question_id", "way", "prompt", "choices", "log_likelihoods", "gold",
            "prediction", "text", "score", "cut_tokens"]  # fmt: skip


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
class AskedQuestion:
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

    def as_prompt(self, benchmark: str, completion: str) -> Prompt:
        """A prompt that traces an answer to the question."""
        return Prompt(
            id=f"{benchmark}-{self.id}".replace("/", "-"),
            prompt=self.prompt.rstrip(),
            completion=f" {completion.strip()}",
        )


def read_questions(run: RunDir, folder: str, score: Score) -> list[AskedQuestion]:
    """The questions behind one score, in the benchmark's order."""
    import pyarrow.parquet as pq

    wanted = [("benchmark", "=", score.benchmark), ("scored_by", "=", score.scored_by)]
    if score.task != WHOLE:
        wanted.append(("task", "=", score.task))
    path = run.benchmark_questions(folder)
    rows = pq.read_table(path, columns=_COLUMNS, filters=wanted).to_pylist()
    return list(_questions(rows, score.scored_by.endswith(_BY_LENGTH)))


def _questions(rows: list[dict[str, Any]], by_length: bool) -> Iterator[AskedQuestion]:
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(row["question_id"], []).append(row)
    for name, own in by_id.items():
        first = own[0]
        yield AskedQuestion(
            id=name,
            task=first["task"],
            prompt=first["prompt"],
            choices=tuple(first["choices"]),
            gold=tuple(first["gold"]),
            by_length=by_length,
            replies={row["model"]: _reply(row) for row in own},
        )


def _reply(row: dict[str, Any]) -> Reply:
    return Reply(
        prediction=row["prediction"],
        score=row["score"],
        log_likelihoods=tuple(row["log_likelihoods"]),
        text=row["text"],
        cut=row["cut_tokens"],
    )
