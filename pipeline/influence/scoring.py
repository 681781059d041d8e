"""Computes influence scores with fitted factors, from where an interrupted attempt stopped.

A prompt that has another completion is scored by the difference of the two, see `queries.py`.

Shape legend: Q prompts, N training examples, T tokens of the longest example of a set.
Positive = proponent: training more on the example lowers the prompt's loss.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

import torch
from kronfluence.arguments import ScoreArguments
from kronfluence.score.pairwise import pairwise_scores_exist
from kronfluence.score.self import self_scores_exist
from torch import Tensor

from pipeline.contract.errors import ResourceError
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.scores import layer_of
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.arguments import curvature_bytes, resident_bytes, score_arguments
from pipeline.influence.baselines import cosine, normalized
from pipeline.influence.budgeted_analyzer import by_length, score_columns
from pipeline.influence.passes import Pass
from pipeline.influence.queries import Queries, differences
from pipeline.influence.settled import with_rank
from pipeline.influence.unfinished import remove_unfinished

PROMPT_NORMS = "prompt norms"
CONTRAST_NORMS = "norms of differences"

ModuleScores = dict[str, Tensor]
"""Scores by module, or their sum as the only one, under Kronfluence's "all_modules"."""

PER_MODULE_BYTES = 2**30
"""Scores are kept by module up to here."""
_FLOAT_BYTES = 4


def phases(strategy: str, prompts: int, examples: int) -> dict[str, float]:
    """The phases of scoring with a strategy, and how many examples' passes each is."""
    norms = {PROMPT_NORMS: float(prompts)} if strategy == "identity" else {}
    names = (scores_phase(strategy), own_phase(strategy))
    return dict.fromkeys(names, float(examples)) | norms


def scores_phase(strategy: str) -> str:
    """Name of the pass over all examples."""
    return f"{strategy} scores"


def own_phase(strategy: str) -> str:
    """Name of the pass over all examples for their self-influence."""
    return f"{strategy} self-influence"


def token_phase(strategy: str) -> str:
    """Name of the pass over the positions of the first examples."""
    return f"{strategy} token scores"


def pairwise_scores(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> ModuleScores:
    """Influence [Q, N] of every example on every prompt.

    By module while that takes less than 1 GiB: Q × N × modules × 4 bytes.

    Raises:
        SettingsError: more partitions than examples or modules.
        ResourceError: not even one example fits into memory.
    """
    args = _arguments(analyzer, prompts, examples)
    name, order = strategy, by_length(examples.lengths, args.data_partitions)
    found = _pairwise(
        analyzer, name, strategy, prompts, examples, order, args, scores_phase(strategy)
    )
    columns = score_columns(analyzer.run.kronfluence_scores(name), range(len(examples)))
    return {module: differences(prompts, scores[:, columns]) for module, scores in found.items()}


def self_influence(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> Tensor:
    """Influence [N] of every example on its own loss; the same arguments as `pairwise_scores`."""
    return sum_modules(self_influence_by_module(analyzer, strategy, prompts, examples))


def self_influence_by_module(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> ModuleScores:
    """As `self_influence`, by module while that takes less than 1 GiB for the pairwise scores."""
    args = _arguments(analyzer, prompts, examples)
    return _own(analyzer, strategy, strategy, examples, args, own_phase(strategy))


def pairwise_parts(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> None:
    """The pass of `pairwise_scores` alone, for a worker that computes partitions of it."""
    args = _arguments(analyzer, prompts, examples)
    order = by_length(examples.lengths, args.data_partitions)
    phase = scores_phase(strategy)
    _pairwise_pass(analyzer, strategy, strategy, prompts, examples, order, args, phase)


def self_influence_parts(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> None:
    """The pass of `self_influence` alone, for a worker that computes partitions of it."""
    args = _arguments(analyzer, prompts, examples)
    _own_pass(analyzer, strategy, strategy, examples, args, own_phase(strategy))


def normalized_scores(
    analyzer: InfluenceAnalyzer,
    strategy: str,
    prompts: TokenDataset,
    raw: Scores,
    own: Scores,
) -> Scores:
    """Raw scores [Q, N] divided by √self-influence [N]; under identity by the prompts' too, which
    makes them cosines of gradients."""
    if strategy != "identity":
        return normalized(raw, own)
    return cosine(raw, squared_gradient_norms(analyzer, prompts).numpy(), own)


def squared_gradient_norms(analyzer: InfluenceAnalyzer, prompts: TokenDataset) -> Tensor:
    """‖∇ loss‖² [Q] of every prompt over the tracked weights: its self-influence under identity.
    Of a difference of losses, the norm of the difference of their gradients."""
    args = replace(_summed(analyzer, prompts), data_partitions=1, module_partitions=1)
    remove_unfinished(analyzer.run.kronfluence_scores("identity_prompts"))
    found = sum_modules(_own(analyzer, "identity_prompts", "identity", prompts, args, PROMPT_NORMS))
    if isinstance(prompts, Queries) and prompts.contrasted:
        contrasted = list(prompts.contrasted)
        found = found[: len(prompts) - len(contrasted)]
        found[contrasted] = _squared_differences(analyzer, prompts)[contrasted]
    return found


def _squared_differences(analyzer: InfluenceAnalyzer, queries: Queries) -> Tensor:
    """‖a − b‖² [Q] from the dot products of all gradients of the queries, uncompressed."""
    dots = _unkept_scores(
        analyzer, "identity_differences", "identity", queries, queries, 0, CONTRAST_NORMS
    )
    return differences(queries, dots.T).diagonal()


def token_scores(
    analyzer: InfluenceAnalyzer,
    strategy: str,
    prompts: TokenDataset,
    examples: TokenDataset,
    chosen: Sequence[int],
) -> Tensor:
    """Influence [Q, len(chosen), T] of every position of the chosen examples.

    A position's share is what the tracked modules' inputs and output gradients there contribute,
    so the positions of an example add up to its score; beyond its end they are 0.
    """
    name = f"{strategy}_tokens"
    args = replace(_summed(analyzer, prompts), compute_per_token_scores=True, data_partitions=1)
    order = sorted(chosen, key=lambda index: -examples.lengths[index])
    analyzer.pad_token_scores(examples.lengths[order[0]])
    found = _pairwise(
        analyzer, name, strategy, prompts, examples, order, args, token_phase(strategy)
    )
    columns = score_columns(analyzer.run.kronfluence_scores(name), chosen)
    return differences(prompts, sum_modules(found)[:, columns])


def trial_scores(
    analyzer: InfluenceAnalyzer,
    strategy: str,
    prompts: TokenDataset,
    examples: TokenDataset,
    rank: int,
) -> Tensor:
    """Influence [Q, N] with prompts' gradients compressed to `rank`, of which no file is kept."""
    phase = f"{strategy} sample at rank {rank or 'full'}"
    name = f"{strategy}_rank_{rank}"
    return _unkept_scores(analyzer, name, strategy, prompts, examples, rank, phase)


def _unkept_scores(
    analyzer: InfluenceAnalyzer,
    name: str,
    strategy: str,
    prompts: TokenDataset,
    examples: TokenDataset,
    rank: int,
    phase: str,
) -> Tensor:
    settings = analyzer.settings
    folder = analyzer.run.kronfluence_scores(name)
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    analyzer.settings = with_rank(settings, rank)
    try:
        args = replace(_summed(analyzer, prompts), data_partitions=1)
        order = by_length(examples.lengths)
        found = _pairwise(analyzer, name, strategy, prompts, examples, order, args, phase)
        columns = score_columns(folder, range(len(examples)))
        return differences(prompts, sum_modules(found)[:, columns])
    finally:
        analyzer.settings = settings
        shutil.rmtree(folder, ignore_errors=True)


def _pairwise(
    analyzer: InfluenceAnalyzer,
    name: str,
    strategy: str,
    prompts: TokenDataset,
    examples: TokenDataset,
    order: list[int],
    args: ScoreArguments,
    phase: str,
) -> ModuleScores:
    """Kronfluence's pairwise pass into scores_<name>, over the examples in such an order.

    With half of the memory for prompts' gradients, and half again, where it does not suffice.
    """
    folder = analyzer.run.kronfluence_scores(name)
    remove_unfinished(folder)
    while True:
        try:
            _pairwise_pass(analyzer, name, strategy, prompts, examples, order, args, phase)
            found: ModuleScores = analyzer.kronfluence.load_pairwise_scores(name)
            return found
        except ResourceError:
            saved = any(folder.glob("*.safetensors"))  # partitions, under these very arguments
            if saved or not analyzer.halve_budget(prompts):
                raise
        # it holds the arguments that the pass was begun with
        shutil.rmtree(folder, ignore_errors=True)


def _pairwise_pass(
    analyzer: InfluenceAnalyzer,
    name: str,
    strategy: str,
    prompts: TokenDataset,
    examples: TokenDataset,
    order: list[int],
    args: ScoreArguments,
    phase: str,
) -> None:
    lengths = [examples.lengths[index] for index in order]
    gathered = analyzer.gathering(prompts)
    gradients = analyzer.prompt_gradient_bytes(prompts, analyzer.shapes)
    at_once = analyzer.modules_at_once
    held = resident_bytes(at_once, strategy) + analyzer.prompt_gradient_bytes(prompts, at_once)
    analyzer.choose_basis(prompts, lengths, args.data_partitions)
    args = replace(args, query_gradient_accumulation_steps=gathered.batches)
    analyzer.run_pass(
        Pass(
            phase,
            analyzer.run.kronfluence_scores(name),
            pairwise_scores_exist,
            "scores.",
            len(order),
            max(lengths),
            args.data_partitions,
            args.module_partitions,
            gathered.passes,
            curvature_bytes(analyzer.shapes, strategy) + gradients,
            args.to_str_dict(),
        ),
        analyzer.tokens_per_batch(analyzer.settings.scores.batch_size, examples, held),
        lambda tokens: analyzer.kronfluence.compute_pairwise_scores(
            name,
            strategy,
            prompts,
            examples,
            gathered.at_once,
            tokens,
            train_indices=order,
            score_args=args,
        ),
    )


def _own(
    analyzer: InfluenceAnalyzer,
    name: str,
    strategy: str,
    examples: TokenDataset,
    args: ScoreArguments,
    phase: str,
) -> ModuleScores:
    """Kronfluence's self-influence pass into scores_<name>; [N] in the examples' own order."""
    _own_pass(analyzer, name, strategy, examples, args, phase)
    columns = score_columns(analyzer.run.kronfluence_scores(name), range(len(examples)))
    found: ModuleScores = analyzer.kronfluence.load_self_scores(name)
    return {module: scores[columns] for module, scores in found.items()}


def _own_pass(
    analyzer: InfluenceAnalyzer,
    name: str,
    strategy: str,
    examples: TokenDataset,
    args: ScoreArguments,
    phase: str,
) -> None:
    analyzer.run_pass(
        Pass(
            phase,
            analyzer.run.kronfluence_scores(name),
            self_scores_exist,
            "scores.",
            len(examples),
            max(examples.lengths),
            args.data_partitions,
            args.module_partitions,
            matrix_bytes=curvature_bytes(analyzer.shapes, strategy),
            arguments=args.to_str_dict(),
        ),
        analyzer.tokens_per_batch(analyzer.settings.scores.batch_size, examples),
        lambda tokens: analyzer.kronfluence.compute_self_scores(
            name,
            strategy,
            examples,
            tokens,
            train_indices=by_length(examples.lengths, args.data_partitions),
            score_args=args,
        ),
    )


def sum_modules(scores: ModuleScores) -> Tensor:
    """The modules' scores added up in float64; float32."""
    parts = iter(scores.values())
    total = next(parts).to(torch.float64, copy=True)  # float64 scores are not summed into
    for part in parts:
        total += part
    return total.float()


def sum_layers(scores: ModuleScores) -> dict[int, Tensor]:
    """The scores of each layer's modules added up, by layer number; empty if not kept apart."""
    layers: dict[int, ModuleScores] = {}
    for name, score in scores.items():
        if (layer := layer_of(name)) is not None:  # scores of all modules together have none
            layers.setdefault(layer, {})[name] = score
    return {layer: sum_modules(layers[layer]) for layer in sorted(layers)}


def _arguments(
    analyzer: InfluenceAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> ScoreArguments:
    size = len(prompts) * len(examples) * len(analyzer.modules) * _FLOAT_BYTES
    gathered = analyzer.gathering(prompts).batches
    return score_arguments(analyzer.settings.scores, size <= PER_MODULE_BYTES, gathered)


def _summed(analyzer: InfluenceAnalyzer, prompts: TokenDataset) -> ScoreArguments:
    gathered = analyzer.gathering(prompts).batches
    return score_arguments(analyzer.settings.scores, per_module=False, prompt_batches=gathered)
