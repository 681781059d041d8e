"""Examples that are like some others in what a ranking may merely follow: length, gradient size.

Where a prompt's ranking has found long texts or large gradients, and not what taught the answer,
leaving out these does the same to the answer as leaving out the ranking's own. NumPy is imported
with this module.

Shape legend: N training examples, K of them chosen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.errors import UsageError
from pipeline.contract.results.examples import NO_GROUP
from pipeline.contract.results.ranks import Scores

Positions = NDArray[np.intp]


def matched(
    marked: Positions,
    n_tokens: NDArray[np.int32],
    self_influence: Scores,
    groups: NDArray[np.int32],
) -> Positions:
    """As many other examples [K], each the nearest one left to the marked one at its place.

    Near means: little difference in ln of the length [N] and in ln of the gradient's size
    √self-influence [N], each in standard deviations over the corpus. Neither the marked ones [K]
    nor near-duplicates of them, which have a number in `groups` [N], are taken; none is twice.

    Source: greedy nearest-neighbour matching without replacement, P. Rosenbaum and D. Rubin, The
    American Statistician 39 (1985).

    Raises:
        UsageError: fewer than K are left.
    """
    free = _others(marked, groups)
    if free.sum() < len(marked):
        raise UsageError(
            f"{len(marked):,} examples are to be proven, and only {free.sum():,} others, which are "
            "no near-duplicates of them, are there to be compared with",
            "prove fewer examples",
        )
    # a gradient may be exactly 0, and self-influence, a sum of float32, a little below it
    sizes = np.sqrt(np.maximum(np.nan_to_num(self_influence.astype(np.float64)), 0.0))
    smallest = sizes[sizes > 0].min(initial=np.inf)
    sizes = np.maximum(sizes, smallest if np.isfinite(smallest) else 1.0)
    features = np.stack([_standard(np.log(n_tokens)), _standard(np.log(sizes))])
    found = []
    for position in marked.tolist():
        distances = ((features - features[:, [position]]) ** 2).sum(axis=0)
        nearest = int(np.argmin(np.where(free, distances, np.inf)))
        free[nearest] = False
        found.append(nearest)
    return np.array(found, dtype=np.intp)


def randomly(marked: Positions, examples: int, seed: int) -> Positions:
    """As many of the other examples [K] at random, ascending.

    The same for other marked ones wherever it can be, so that a training without them serves
    many prompts.
    """
    order = np.random.default_rng([seed, 5, len(marked)]).permutation(examples)
    return np.sort(order[~np.isin(order, marked)][: len(marked)])


def _others(marked: Positions, groups: NDArray[np.int32]) -> NDArray[np.bool_]:
    kin = groups[marked]
    others = ~np.isin(groups, kin[kin != NO_GROUP])
    others[marked] = False
    return others


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(values.std())
    standard: NDArray[np.float64] = (values - values.mean()) / (spread or 1.0)
    return standard
