"""Prompts, answers and rankings of a run. NumPy and PyArrow are imported on first use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from pipeline.contract.errors import HeadwaterError, MissingResultError
from pipeline.contract.files import read_json
from pipeline.contract.run.freshness import Done, is_fresh
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import load_prompts
from pipeline.contract.token_scores import by_predicted_token

if TYPE_CHECKING:
    from tui.readers.scores import Scored


Sort = Literal["score", "tokens", "group", "corpus"]
"""Score or length: highest first. Near-duplicates together. The order of the corpus."""
SORTS: tuple[Sort, ...] = get_args(Sort)


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
class TokenScores:
    """What predicting each token of an example adds to its score."""

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

    def overview(self) -> Overview:
        """Prompts and methods.

        Raises:
            MissingResultError: there are no rankings; says why and what to do.
        """
        run = self._run
        if Done.read("scores", run) is None:
            hint = f"run the stages on the run's screen, or by `headwater run all --run {run.name}`"
            raise MissingResultError("no rankings yet: the scores stage has not finished", hint)
        if not run.lookup.exists():
            hint = f"`headwater run scores --run {run.name} --force` scores again"
            raise MissingResultError("these scores were kept without the examples' texts", hint)
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

    def scored(self) -> Scored:
        """The scores of all examples.

        Raises:
            OSError, ValueError, KeyError: they cannot be read.
        """
        from tui.readers.memory import give_back_large_arrays
        from tui.readers.scores import Scored

        give_back_large_arrays()
        return Scored(self._run)

    def tokens(self, prompt_id: str, example_id: str) -> TokenScores | None:
        """Per-token scores, which only the first examples of a prompt have."""
        import pyarrow.parquet as pq

        if not self._run.token_scores.exists():
            return None
        with pq.ParquetFile(self._run.token_scores) as file:  # a filter would load half of PyArrow
            keys = file.read(["prompt_id", "example_id"]).to_pydict()
            pairs = list(zip(keys["prompt_id"], keys["example_id"], strict=True))
            if (prompt_id, example_id) not in pairs:
                return None
            row = file.read().slice(pairs.index((prompt_id, example_id)), 1).to_pylist()[0]
        return TokenScores(row["tokens"], by_predicted_token(row["scores"]))

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
