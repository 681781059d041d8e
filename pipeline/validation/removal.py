"""What a model trained without a prompt's first examples makes of the prompt.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.validation import RANDOM, Removal, RemovalEffect
from pipeline.sharing.stage import SharedStage
from pipeline.validation.context import ValidationContext
from pipeline.validation.ledger import Outcome
from pipeline.validation.random_baseline import compare_with_random
from pipeline.validation.retraining import Training

REMOVAL = "removal"


def removal(context: ValidationContext, sharing: SharedStage | None) -> Removal | None:
    """How much less likely each prompt's completion is without the examples; None if not asked.

    A drop is averaged over the seeds.
    """
    wanted = context.wanted
    if not wanted.seeds:
        return None
    seeds = range(context.seed, context.seed + wanted.seeds)
    everything = np.arange(len(context.examples))
    prompts = np.arange(len(context.prompts))
    parts = [part for part in np.array_split(prompts, wanted.removal_groups) if len(part)]
    full = [Training(everything, seed) for seed in seeds]
    planned = [
        (method, seed - context.seed, part, Training(np.setdiff1d(everything, left_out), seed))
        for seed in seeds
        for part in parts
        for method, left_out in _left_out(context.compared, part, wanted.removed, seed)
    ]
    trainings = [*full, *(plan[-1] for plan in planned)]
    outcomes = context.outcomes(REMOVAL, trainings, sharing)
    before, after = np.array(outcomes[: len(full)]), outcomes[len(full) :]
    drops: dict[str, Outcome] = defaultdict(lambda: np.full(before.shape, np.nan))
    for (method, row, part, _), outcome in zip(planned, after, strict=True):
        drops[method][row, part] = (before[row] - outcome)[part]
    return Removal(
        removed=wanted.removed,
        groups=len(parts),
        seeds=tuple(seeds),
        # reversed: of a method's trainings the first one counts
        left_out={plan[0]: len(everything) - len(plan[-1].kept) for plan in reversed(planned)},
        seed_noise=_seed_noise(before),
        methods=compare_with_random(
            {name: _mean(values) for name, values in drops.items()}, RemovalEffect, context
        ),
    )


def _left_out(
    methods: Mapping[str, Scores], prompts: NDArray[np.intp], count: int, seed: int
) -> Iterator[tuple[str, NDArray[np.integer]]]:
    """The methods' first examples for the prompts, and as many random ones as of the first."""
    sizes = []
    for method, scores in methods.items():
        tops = [highest_first(scores[prompt], count) for prompt in prompts]
        left_out = np.unique(np.concatenate(tops))
        sizes.append(len(left_out))
        yield method, left_out
    examples = next(iter(methods.values())).shape[1]
    rng = np.random.default_rng([seed, 2, prompts[0]])
    yield RANDOM, np.sort(rng.permutation(examples)[: sizes[0]])


def _mean(values: Outcome) -> Outcome:
    """Over the seeds [Q]; NaN where no training succeeded."""
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis=0)
    counts = there.sum(axis=0)
    mean: Outcome = np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0)
    return mean


def _seed_noise(before: Outcome) -> float | None:
    """Standard deviation of a prompt's ln p between seeds with everything, root mean square."""
    finite = before[np.isfinite(before).all(axis=1)]
    return float(np.sqrt(finite.var(axis=0, ddof=1).mean())) if len(finite) > 1 else None
