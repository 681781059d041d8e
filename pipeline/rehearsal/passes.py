"""The influence passes of the later stages, over two examples and two prompts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from kronfluence.factor.config import FactorConfig
from kronfluence.module.tracked_module import TrackedModule
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.ask.projection import Projection
from pipeline.contract.errors import ModelError
from pipeline.contract.results.scores import HIDDEN_COSINE
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, TokenRow, pad_batch
from pipeline.generation import generate_continuations
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.arguments import covariance_bytes, score_arguments
from pipeline.influence.experts import join_experts
from pipeline.influence.fitting import fit, fit_covariances, needs_covariances
from pipeline.influence.hidden import hidden_cosine
from pipeline.influence.modules import weight_shape
from pipeline.influence.scoring import (
    pairwise_scores,
    self_influence_by_module,
    sum_modules,
    token_scores,
)
from pipeline.rehearsal import gradients

_COVARIANCE_BYTES = 2**29
"""Most memory for the covariances of the modules that every pass is tried on."""
_DECOMPOSED = 768
"""Widest module whose covariances are decomposed: that takes as long as the width cubed."""
_FEATURES = 64


class _Unheard(EventWriter):
    """Takes the passes' progress, which belongs to no stage."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), "train")

    def note(self, message: str) -> None:
        """Keeps it out of the log."""


def compare_norms(
    settings: Settings,
    folder: RunDir,
    model: PreTrainedModel,
    names: Sequence[str],
    seen: Sequence[TokenRow],
) -> float:
    """Compares every module's self-influence under identity with autograd's ‖gradient‖².

    Gives the largest relative difference.

    Raises:
        ModelError: a module's differs.
    """
    expected = gradients.squared_norms(model, names, seen)
    examples = _dataset(seen)
    try:
        analyzer = InfluenceAnalyzer(settings, folder, _Unheard(), model)
        fit(analyzer, "identity", examples)
        found = self_influence_by_module(analyzer, "identity", examples, examples)
    finally:
        unwrap(model)
    return gradients.require_equal("self-influence", found, expected)


def affordable(model: PreTrainedModel, names: Sequence[str]) -> list[str]:
    """The modules to try every pass on: from both ends of the model, as many as memory allows."""
    order = [name for pair in zip(names, reversed(names), strict=True) for name in pair]
    chosen: list[str] = []
    for name in dict.fromkeys(order):
        shapes = [weight_shape(model.get_submodule(each)) for each in (*chosen, name)]
        if chosen and covariance_bytes(shapes) > _COVARIANCE_BYTES:
            break
        chosen.append(name)
    return [name for name in names if name in chosen]


def score(
    settings: Settings,
    folder: RunDir,
    model: PreTrainedModel,
    names: Sequence[str],
    seen: Sequence[TokenRow],
    asked: Sequence[TokenRow],
) -> None:
    """Factors, scores, token scores and features of a few modules; identity against autograd.

    Raises:
        ModelError: identity's scores differ, or tokens do not add up.
    """
    expected = gradients.dot_products(model, names, asked, seen)
    examples, prompts = _dataset(seen), _dataset(asked)
    strategy = settings.factors.strategies[0]
    try:
        analyzer = InfluenceAnalyzer(settings, folder, _Unheard(), model)
        fit(analyzer, "identity", examples)
        found = pairwise_scores(analyzer, "identity", prompts, examples)
        gradients.require_equal("score", found, expected)
        tokens = token_scores(analyzer, "identity", prompts, examples, range(len(examples)))
        _require_sum(tokens, sum_modules(found), model)
        _try_strategy(analyzer, strategy, prompts, examples)
    finally:
        unwrap(model)
    if HIDDEN_COSINE in settings.scores.second_opinions:
        hidden_cosine(model, prompts, examples, budget=settings.train.batch_tokens)


def generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[TokenRow]
) -> None:
    """Writes two tokens after every prompt, in one batch and one by one.

    Raises:
        ModelError: the padding before the shorter one changes its answer.
    """
    contexts = [row["input_ids"].tolist()[:-2] for row in asked]
    together = dict(generate_continuations(model, tokenizer, contexts, max_new_tokens=2))
    for index, context in enumerate(contexts):
        ((_, alone),) = generate_continuations(model, tokenizer, [context], max_new_tokens=2)
        if alone.text != together[index].text:
            raise ModelError(
                f"{type(model).__name__}: an answer depends on the other prompts of its batch",
                "choose a model that ignores padding on the left",
            )


def unwrap(model: PreTrainedModel) -> None:
    """Takes Kronfluence's wrappers off the model's modules."""
    for name, module in list(model.named_modules()):
        if isinstance(module, TrackedModule):
            model.set_submodule(name, module.original_module)
    join_experts(model)


def _try_strategy(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> None:
    if needs_covariances(strategy) and max(map(max, analyzer.shapes)) > _DECOMPOSED:
        fit_covariances(analyzer, strategy, examples)
        return
    fit(analyzer, strategy, examples)
    pairwise_scores(analyzer, strategy, prompts, examples)
    if FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_precondition:
        _projection(analyzer, strategy).features(pad_batch([examples[0], examples[1]]))


def _projection(analyzer: InfluenceAnalyzer, strategy: str) -> Projection:
    return Projection.of_factors(
        analyzer.kronfluence.model,
        analyzer.run.factors(strategy),
        score_arguments(analyzer.settings.scores, per_module=False),
        analyzer.modules,
        strategy,
        _FEATURES,
    )


def _require_sum(tokens: Tensor, scores: Tensor, model: PreTrainedModel) -> None:
    size = float(tokens.abs().sum(dim=-1).max())
    if not float((tokens.sum(dim=-1) - scores).abs().max()) <= 1e-4 * size:
        raise ModelError(
            f"{type(model).__name__}: the scores of an example's tokens do not add up to its own",
            "name other modules in modules.names",
        )


def _dataset(rows: Sequence[TokenRow]) -> TokenDataset:
    return TokenDataset(
        [row["input_ids"].to(torch.int32).numpy() for row in rows],
        [row["labels"].to(torch.int32).numpy() for row in rows],
    )
