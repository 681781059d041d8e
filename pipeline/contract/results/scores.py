"""How examples were scored: the methods' names and strategies, layers, the stage's summary.

The scores themselves are in `score_file.py`, the ranks in `ranks.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

STAGE = "scores"
LAYER = "layer "
"""Begins the name of a ranking by one layer: "layer 3"."""
IDENTITY = "identity"
GRADIENT_COSINE = "gradient_cosine"
HIDDEN_COSINE = "hidden_cosine"
BM25 = "bm25"
_NORMALIZED = "_normalized"
_CURVATURES: Mapping[str, str] = {
    "ekfac": "EKFAC (eigenvalue-corrected Kronecker factors)",
    "kfac": "KFAC (Kronecker factors)",
    "diagonal": "the diagonal of the Fisher matrix",
}
"""What stands for the curvature of the loss."""
_MEASURES: Mapping[str, str] = {
    IDENTITY: "Dot product of the gradients of example and prompt, without curvature; examples "
    "with large gradients crowd its top.",
    GRADIENT_COSINE: "Cosine of the gradients of example and prompt, without curvature.",
    HIDDEN_COSINE: "Cosine of the model's last hidden states for the texts of example and prompt: "
    "likeness, no gradients.",
    BM25: "Words that example and prompt share, rare words counting for more; the model is not "
    "looked at.",
}
"""Methods that are no influence under a curvature, in a sentence each."""


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


def nats_per_example(raw: float, examples: int) -> float:
    """By how many nats the prompt's loss falls, to first order, if the example counted twice.

    Training minimises the mean loss (1/N) Σ Lᵢ, whose curvature H is. Adding ε·L of an example
    moves the optimum by −ε H⁻¹∇L (Koh and Liang 2017, section 2.1), so the prompt's loss falls by
    ε times the raw score; one more copy of the example is ε = 1/N.
    """
    return raw / examples


def raw_strategy(method: str, methods: Iterable[str]) -> str | None:
    """The method whose scores are nats under a curvature, for a ranking by `method`; None where
    there is none: without a curvature a score is no change of the loss."""
    strategy = strategy_of(method)
    return strategy if strategy and strategy in _CURVATURES and strategy in methods else None


def measures(method: str) -> str:
    """What a ranking measures, in one plain sentence; `method` may also be "layer 3"."""
    if method in _MEASURES:
        return _MEASURES[method]
    if method.startswith(LAYER):
        return f"Influence through the weights of {method} alone, not normalized."
    strategy = strategy_of(method) or method
    curvature = _CURVATURES.get(strategy, strategy)
    influence = (
        "Influence: how much the loss of the answer falls if the example weighs more, with "
        f"{curvature} for the curvature"
    )
    if method.endswith(_NORMALIZED):
        return f"{influence}; divided by √self-influence, so that long or odd examples do not lead."
    return f"{influence}; long and odd examples have larger scores."


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
