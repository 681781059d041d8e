"""How examples were scored: the methods' names and strategies, layers, the stage's summary.

The scores themselves are in `score_file.py`, the ranks in `ranks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

STAGE = "scores"
IDENTITY = "identity"
GRADIENT_COSINE = "gradient_cosine"
HIDDEN_COSINE = "hidden_cosine"
BM25 = "bm25"
_NORMALIZED = "_normalized"


@dataclass(frozen=True)
class KnownAnswers:
    """How many of the expected answers the model gives itself."""

    correct: int
    prompts: int
    """Prompts that have an expected answer."""


@dataclass(frozen=True)
class Retrieval:
    """How well a method finds the documents known to state the answers; means over prompts."""

    recall: float
    """Share of the relevant documents among the top k; at most k ÷ their number."""
    k: int
    mrr: float
    """Mean of 1 ÷ rank of the first relevant document; 0 where the ranking lacks them all."""
    top1: float
    """Share of prompts whose first document is relevant."""


@dataclass(frozen=True)
class ScoresSummary:
    """The content of `scores/summary.json`."""

    default_method: str
    methods: tuple[str, ...]
    """In the order in which they are shown."""
    prompts: int
    """That were scored: one to which the model answers nothing may be left out."""
    examples: int
    modules: tuple[str, ...]
    known: KnownAnswers
    evaluation: Mapping[str, Retrieval]
    """By method; empty where no prompt names a document of the corpus."""
    preflight: GradientErrors | None
    """None in runs that were scored before this was measured."""
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    """By step."""


def write_scores_summary(run: RunDir, summary: ScoresSummary) -> None:
    """Writes the stage's summary."""
    write_record(run.summary(STAGE), summary)


def read_scores_summary(run: RunDir) -> ScoresSummary:
    """The stage's summary.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: it is not what the stage writes.
    """
    return read_record(run, STAGE, run.summary(STAGE), ScoresSummary)


def load_scores_summary(run: RunDir) -> Loaded[ScoresSummary]:
    """The summary of a finished stage; the errors are those of `common.load`."""
    return load(run, STAGE, read_scores_summary)


def normalized_name(strategy: str) -> str:
    """What a strategy's scores are called once divided by √self-influence."""
    return GRADIENT_COSINE if strategy == IDENTITY else f"{strategy}{_NORMALIZED}"


def strategy_of(method: str) -> str | None:
    """The strategy whose curvature a method rests on; None for one that looks at no gradient."""
    if method in (BM25, HIDDEN_COSINE):
        return None
    return IDENTITY if method == GRADIENT_COSINE else method.removesuffix(_NORMALIZED)


def default_method(settings: Settings) -> str:
    """The method that is shown first."""
    strategy = settings.factors.strategies[0]
    return normalized_name(strategy) if settings.scores.normalize else strategy


def layer_of(module: str) -> int | None:
    """The decoder layer that a module is or belongs to, 0-based: 3 for "layers.3.mlp.up_proj".

    None for a module outside of all layers, as "lm_head".
    """
    # The first number: an expert's comes after its layer's ("layers.3.mlp.experts.7.up_proj").
    return next((int(part) for part in module.split(".") if part.isdecimal()), None)
