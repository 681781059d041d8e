"""Decides whether prompts' gradients are compressed: where that saves passes over the examples, and
a sample of the run's own scores keeps its ranks."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr
from torch import Tensor

from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.scoring import trial_scores
from pipeline.influence.settled import rank_is_open

RANK = 64
LEAST = 0.95
"""Smallest rank correlation of a prompt's scores, compressed and uncompressed, that is accepted."""
_PROMPTS = 4
_EXAMPLES = 256


def settle_rank(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> None:
    """Decides once a run, under its first strategy, and writes it down; says why."""
    if not rank_is_open(analyzer.wanted) or analyzer.budget.rank_reason:
        return
    rank, reason = decide(analyzer, strategy, prompts, examples)
    analyzer.compress(rank, reason)
    analyzer.note(f"prompts' gradients {f'at rank {rank}' if rank else 'uncompressed'}: {reason}")


def decide(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> tuple[int, str]:
    """The rank, 0 = uncompressed, and why."""
    if analyzer.kronfluence.model.device.type == "cpu":
        return 0, "on a CPU scores stay the same to the last bit"
    return measured_rank(analyzer, strategy, prompts, examples)


def measured_rank(
    analyzer: InfluenceAnalyzer, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> tuple[int, str]:
    """As `decide`, by what a sample says, whatever the device."""
    whole, fewer = (analyzer.gathering(prompts, rank).passes for rank in (0, RANK))
    if fewer >= whole:
        return 0, f"rank {RANK} would save none of {whole:,} passes over the examples"
    asked, seen = _sample(prompts, _PROMPTS), _sample(examples, _EXAMPLES)
    exact, rough = (trial_scores(analyzer, strategy, asked, seen, rank) for rank in (0, RANK))
    correlations = _rank_correlations(exact, rough)
    told = (
        f"{fewer:,} instead of {whole:,} passes over the examples; on {len(asked)} prompts and "
        f"{len(seen)} examples scores at rank {RANK} have a rank correlation of "
        f"{correlations.mean():.3f} with uncompressed ones, smallest {correlations.min():.3f}"
    )
    if correlations.min() < LEAST:
        return 0, f"{told}, less than {LEAST}"
    return RANK, told


def _sample(dataset: TokenDataset, most: int) -> TokenDataset:
    """Evenly spaced."""
    count = min(most, len(dataset))
    return dataset.subset([number * len(dataset) // count for number in range(count)])


def _rank_correlations(
    first: Tensor, second: Tensor
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Spearman's, of each row of two tables [Q, N]; of constant rows none, which counts as 0."""
    found = [spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    return np.nan_to_num(np.array(found, dtype=np.float64))
