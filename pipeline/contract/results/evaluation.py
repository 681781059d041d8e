"""What the evaluate stage found: the trained model's answers against the base's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pipeline.contract.files import replacing, write_csv
from pipeline.contract.results.answers import begins_with
from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.results.generation import MODELS, PUBLISHED, Ended, ModelName, Perplexity
from pipeline.contract.results.origin import ORIGIN_WORDS, OriginWord
from pipeline.contract.results.spans import TextTrace
from pipeline.contract.results.verdict import Difference, Verdict
from pipeline.contract.run.run_dir import RunDir

TOKEN_F1 = "f1"
EXACT_MATCH = "exact"
METRICS: Mapping[str, str] = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    EXACT_MATCH: "exact match",
    TOKEN_F1: "token F1",
}
"""Measures of likeness to the expected text: all shares of 1, 1 = equal."""
LIKELIHOOD = "log_likelihood_per_token"
"""The one metric that is no share: nats."""
TITLES: Mapping[str, str] = {**METRICS, LIKELIHOOD: "ln p of the expected answer, a token"}
"""Every metric, as a person reads it."""

Oddity = Literal["", "empty", "repetitive"]
_LARGEST_LOSS = 700
"""exp of more is beyond a float."""


@dataclass(frozen=True)
class Origin:
    """An example behind an answer."""

    example_id: str
    place: str
    """Where it was read."""
    score: float
    text: str
    """Its beginning."""


@dataclass(frozen=True)
class CopiedWords:
    """The longest run of an answer's words that stands in the training texts."""

    words: int
    of: int
    """Words of the whole answer."""
    text: str
    example_id: str | None
    """An example that holds the run; None where nothing is shared."""


@dataclass(frozen=True)
class ModelAnswer:
    """What one model answered to a prompt, with everything measured on it."""

    answer: str
    ended: Ended
    oddity: Oddity
    scores: dict[str, float]
    """By metric; empty where no answer is expected."""
    overlap: CopiedWords
    origins: tuple[Origin, ...] = ()
    """The most influential examples, first the first; none where the answer was not traced."""
    copies: TextTrace | None = None
    """What of it stands in the training data; None of the base model's, which has not learnt from
    that, and in runs of old."""
    origin: OriginWord = "not known"


@dataclass(frozen=True)
class AnswerPair:
    """Both models' answers to a prompt."""

    prompt_id: str
    prompt: str
    expected: str
    """Empty where no answer is expected."""
    base: ModelAnswer
    trained: ModelAnswer

    def of(self, model: ModelName) -> ModelAnswer:
        """One model's answer."""
        return self.base if model == "base" else self.trained

    def is_known(self, model: ModelName) -> bool | None:
        """Whether a model's answer begins with the expected text; None where none is expected."""
        return begins_with(self.of(model).answer, self.expected) if self.expected else None


@dataclass(frozen=True)
class AnswerMetric(Difference):
    """A metric's means over the prompts with an expected answer: trained against base."""

    metric: str
    title: str
    base: float
    trained: float
    verdict: Verdict

    @property
    def is_share(self) -> bool:
        """Whether it is a share of 1, to be read in percent."""
        return self.metric != LIKELIHOOD

    def of(self, model: ModelName) -> float:
        """One model's mean."""
        return self.base if model == "base" else self.trained


@dataclass(frozen=True)
class AnswerOrigins:
    """Where the trained model's answers come from, or why that is not known."""

    method: str = ""
    """What ranks the examples; empty where the answers were not traced."""
    rankings: str = ""
    """The file that holds all of it, below the run."""
    missing: str = ""
    """Why they were not traced; empty where they were."""


@dataclass(frozen=True)
class AnswerLengths:
    """Words an answer on average; None where there is no such answer."""

    base: float | None
    trained: float | None
    expected: float | None


@dataclass(frozen=True)
class Decoding:
    """How the answers were written; see the settings' section generate."""

    temperature: float
    top_p: float
    stop: tuple[str, ...]
    max_new_tokens: int
    batch_tokens: int


@dataclass(frozen=True)
class Evaluation:
    """The stage's summary."""

    prompts: tuple[AnswerPair, ...]
    origins: AnswerOrigins
    metrics: tuple[AnswerMetric, ...]
    """Empty where no prompt has an expected answer."""
    words: AnswerLengths | None
    """None in runs of format 1 that lack it."""
    signatures: dict[str, str]
    """sacrebleu's account of each of its metrics."""
    perplexities: dict[ModelName, Perplexity]
    sampling: Decoding
    warnings: tuple[str, ...]

    @cached_property
    def exactness(self) -> str:
        """Why exact match is below the share of answers that are known: what each counts. Empty
        where they are the same."""
        asked = [one for one in self.prompts if EXACT_MATCH in one.trained.scores]
        exact = sum(one.trained.scores[EXACT_MATCH] == 1 for one in asked)
        begun = sum(bool(one.is_known("trained")) for one in asked)
        if exact == begun:
            return ""
        return (
            f"Known: {begun:,} of {len(asked):,} trained answers begin with the expected text. "
            f"Exact match: {exact:,} are nothing else (case, punctuation and articles do not "
            "count)."
        )

    @cached_property
    def origin_counts(self) -> str:
        """`Of 50 trained answers 12 are copied, 30 taught, 8 neither.`"""
        found = Counter(one.trained.origin for one in self.prompts)
        told = [f"{found[word]:,} {'are ' * (word == 'copied')}{word}" for word in ORIGIN_WORDS[:3]]
        told += [f"of {found[word]:,} it is {word}" for word in ORIGIN_WORDS[3:] if found[word]]
        return f"Of {len(self.prompts):,} trained answers {', '.join(told)}."


def write_evaluation(run: RunDir, evaluation: Evaluation) -> None:
    """Writes the stage's summary."""
    write_record(run.summary("evaluate"), evaluation)


def read_evaluation(run: RunDir) -> Evaluation:
    """The stage's summary.

    Raises:
        MissingResultError, DamagedResultError: it cannot be read.
    """
    return read_record(run, "evaluate", run.summary("evaluate"), Evaluation)


def load_evaluation(run: RunDir) -> Loaded[Evaluation]:
    """The summary of a finished stage.

    Raises:
        MissingResultError, DamagedResultError: it has not finished, or cannot be read.
    """
    return load(run, "evaluate", read_evaluation)


def write_comparison(
    run: RunDir, pairs: Sequence[AnswerPair], metrics: Sequence[AnswerMetric]
) -> None:
    """Writes the comparison as the field's tables: a row a prompt, and a row a metric."""
    _write_csv(run.answer_comparison, [_prompt_row(pair) for pair in pairs])
    _write_csv(run.metric_comparison, [_metric_row(metric) for metric in metrics])


def _prompt_row(pair: AnswerPair) -> dict[str, object]:
    row: dict[str, object] = {
        "prompt_idx": pair.prompt_id,
        "prompt": pair.prompt,
        "expected": pair.expected,
    }
    row |= {f"{PUBLISHED[model]}_completion": pair.of(model).answer for model in MODELS}
    for model in MODELS:
        name, answer = PUBLISHED[model], pair.of(model)
        row |= {f"{name}_{metric.lower()}": answer.scores.get(metric) for metric in METRICS}
        row[f"{name}_reference_perplexity"] = _perplexity(answer.scores.get(LIKELIHOOD))
        row[f"{name}_ended"] = answer.ended
        row[f"{name}_flag"] = answer.oddity
        row[f"{name}_copied_words"] = answer.overlap.words
        row[f"{name}_copied_from"] = answer.overlap.example_id
    row[f"{PUBLISHED['trained']}_origin"] = pair.trained.origin
    return row


def _perplexity(likelihood: float | None) -> float | None:
    return None if likelihood is None else math.exp(min(-likelihood, _LARGEST_LOSS))


def _metric_row(row: AnswerMetric) -> dict[str, object]:
    relative = row.difference / row.base * 100 if row.is_share and row.base else None
    return {
        "Metric": row.title,
        "Base Model": row.base,
        "Fine-tuned Model": row.trained,
        "Difference": row.difference,
        "Relative Difference (%)": relative,
        "95% low": row.low,
        "95% high": row.high,
        "p": row.p_value,
        "Prompts": row.n,
        "Verdict": row.verdict,
    }


def _write_csv(path: Path, rows: Sequence[dict[str, object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, list(rows[0]) if rows else [], rows)
