"""Rankings and answers of a run, one prompt at a time. PyArrow is imported on first use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from pipeline.contract.errors import HeadwaterError, MissingResultError
from pipeline.contract.files import read_json
from pipeline.contract.prompts import load_prompts
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import load_settings
from pipeline.contract.stages import Done, is_fresh

End = Literal["top", "bottom"]
_PROMPTS_HELD = 4


@dataclass(frozen=True)
class Answer:
    """A prompt, the completion whose origin is traced, and what the model says itself."""

    id: str
    prompt: str
    completion: str
    generated: str = ""
    correct: bool | None = None
    """None: the model's answer is not known."""


@dataclass(frozen=True)
class Ranked:
    """A training example in a ranking."""

    rank: int
    score: float
    example_id: str
    document_id: str
    chunk: int
    chunks: int
    text: str
    n_tokens: int
    duplicate_group: int
    relevant: bool | None
    scores: dict[str, float | None] = field(default_factory=dict)
    """Its score under every method."""


@dataclass(frozen=True)
class TokenScores:
    """What each token of an example adds to its score."""

    tokens: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Overview:
    """What there is to browse."""

    answers: tuple[Answer, ...]
    methods: tuple[str, ...]
    default_method: str
    examples: int
    """Training examples that were ranked."""
    stale: bool
    """The settings or inputs have changed since."""


class RankingReader:
    """Reads `scores/` of one run."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._rows = lru_cache(maxsize=_PROMPTS_HELD)(self._read_rows)

    def overview(self) -> Overview:
        """Prompts and methods.

        Raises:
            MissingResultError: there are no rankings; says why and what to do.
        """
        run = self._run
        if Done.read("scores", run) is None or not run.rankings.exists():
            hint = "run the stages (a) or go on with them (r) on the run's screen"
            raise MissingResultError("no rankings yet: the scores stage has not finished", hint)
        summary = read_json(run.summary("scores"))
        if not isinstance(summary, dict):
            raise MissingResultError(f"{run.summary('scores')} cannot be read", "score again")
        return Overview(
            answers=tuple(self._answers()),
            methods=tuple(summary.get("methods", ())),
            default_method=str(summary.get("default_method", "")),
            examples=int(summary.get("examples", 0)),
            stale=not self._fresh(),
        )

    def ranked(self, prompt_id: str, method: str, end: End) -> list[Ranked]:
        """One end of one ranking, most extreme first."""
        rows = [r for r in self._rows(prompt_id) if r["method"] == method and r["end"] == end]
        return [_ranked(row) for row in sorted(rows, key=lambda row: row["rank"])]

    def places(self, prompt_id: str, example_id: str) -> dict[str, tuple[End, int]]:
        """Where an example stands for a prompt: method → (end, rank), as far as rankings reach."""
        return {
            row["method"]: (row["end"], row["rank"])
            for row in self._rows(prompt_id)
            if row["example_id"] == example_id
        }

    def tokens(self, prompt_id: str, example_id: str) -> TokenScores | None:
        """Per-token scores, which only the first examples of a prompt have."""
        import pyarrow.parquet as pq

        if not self._run.token_scores.exists():
            return None
        wanted = [("prompt_id", "=", prompt_id), ("example_id", "=", example_id)]
        rows = pq.read_table(self._run.token_scores, filters=wanted).to_pylist()
        return TokenScores(rows[0]["tokens"], rows[0]["scores"]) if rows else None

    def _read_rows(self, prompt_id: str) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        wanted = [("prompt_id", "=", prompt_id)]
        rows: list[dict[str, Any]] = pq.read_table(self._run.rankings, filters=wanted).to_pylist()
        return rows

    def _answers(self) -> Iterator[Answer]:
        told = {record["id"]: record for record in self._answer_records()}
        for prompt in load_prompts(self._run.prepared_prompts, use_generated=True):
            record = told.get(prompt.id, {})
            yield Answer(
                id=prompt.id,
                prompt=prompt.prompt,
                completion=record.get("completion") or prompt.completion,
                generated=record.get("generated") or "",
                correct=record.get("correct"),
            )

    def _answer_records(self) -> Iterator[dict[str, Any]]:
        path = self._run.stage("scores") / "answers.jsonl"
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            if line.strip():
                yield json.loads(line)

    def _fresh(self) -> bool:
        try:
            return is_fresh("scores", load_settings(self._run.settings), self._run)
        except HeadwaterError:
            return False


def _ranked(row: dict[str, Any]) -> Ranked:
    prefix = "score_"
    return Ranked(
        rank=row["rank"],
        score=row["score"],
        example_id=row["example_id"],
        document_id=row["document_id"],
        chunk=row["chunk"],
        chunks=row["chunks"],
        text=row["text"],
        n_tokens=row["n_tokens"],
        duplicate_group=row["duplicate_group"],
        relevant=row["relevant"],
        scores={key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)},
    )
