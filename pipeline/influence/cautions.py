"""Warnings about rankings that reflect the method more than the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.contract.results.examples import groups_of, ids_of, lengths_of
from pipeline.contract.results.ranks import Order, Scores, highest_first
from pipeline.contract.settings.prompts import Prompt

_FEW_EXAMPLES = 50
_FEW_PROMPTS = 4
_OUTLIER = 10.0
_LIST = 10
"""Length of the top lists that are checked."""
_EXTREME_LENGTHS = (5.0, 95.0)
"""Percentiles of the corpus beyond which a length is extreme."""
_NAMED = 3
"""Most prompts or examples that a warning names."""


def cautions(prompts: Sequence[Prompt], examples: pa.Table, scores: Scores) -> Iterator[str]:
    """Warnings about the default ranking; `scores` [Q, N], `examples` the N training examples."""
    if examples.num_rows < _FEW_EXAMPLES:
        yield (
            f"only {examples.num_rows} training examples: the curvature rests on too few, and "
            "every ranking lists most of the corpus"
        )
    groups = groups_of(examples)
    lengths = lengths_of(examples)
    checks: dict[str, Callable[[Scores, Order], bool]] = {
        f"the first example scores more than {_OUTLIER:g} times the second": _outlier,
        f"most of the top {_LIST} are near-duplicates of each other": (
            lambda _, top: _mostly_duplicates(groups[top])
        ),
        f"most of the top {_LIST} are among the longest or shortest 5% of the corpus": (
            lambda _, top: _extreme(lengths[top], lengths)
        ),
        f"equal scores in the top {_LIST}: too little precision to rank them": (
            lambda best, top: _ties(best, groups[top])
        ),
    }
    tops = [highest_first(row, _LIST) for row in scores]
    for message, check in checks.items():
        affected = [
            prompt.id
            for prompt, row, top in zip(prompts, scores, tops, strict=True)
            if len(top) > 1 and check(row[top], top)
        ]
        if affected:
            yield f"{_summary(affected, len(prompts))}: {message}"
    yield from _ubiquitous(tops, ids_of(examples))


def _ubiquitous(tops: Sequence[Order], ids: Sequence[str]) -> Iterator[str]:
    """Warns of examples in most top lists: boilerplate, or gradients larger than all others."""
    if len(tops) < _FEW_PROMPTS:
        return
    indices, counts = np.unique(np.concatenate(tops), return_counts=True)
    frequent = [ids[index] for index in indices[counts > len(tops) / 2]]
    if frequent:
        are = "example is" if len(frequent) == 1 else "examples are"
        yield (
            f"{len(frequent)} {are} in the top {_LIST} of most prompts ({_listed(frequent)}): "
            "boilerplate, or gradients larger than all others"
        )


def _outlier(best: Scores, _top: Order) -> bool:
    # ratios to a negative score mean nothing: any positive best score then stands alone
    return bool(best[0] > _OUTLIER * max(best[1], 0.0))


def _mostly_duplicates(groups: NDArray[np.int32]) -> bool:
    """Whether more than half of the examples belong to one near-duplicate group."""
    known = groups[groups >= 0]
    return known.size > 0 and np.unique(known, return_counts=True)[1].max() > len(groups) / 2


def _extreme(lengths: NDArray[np.int32], corpus: NDArray[np.int32]) -> bool:
    """Whether most lengths lie beyond the same extreme percentile of the corpus."""
    low, high = np.percentile(corpus, _EXTREME_LENGTHS)
    half = len(lengths) / 2
    return bool((lengths > high).sum() > half or (lengths < low).sum() > half)


def _ties(best: Scores, groups: NDArray[np.int32]) -> bool:
    """Whether neighbours in a top list score the same, copies of one text not counted."""
    # equal scores of different texts are a matter of too few digits: half precision, for one
    copies = (groups[1:] == groups[:-1]) & (groups[1:] >= 0)
    return bool(((np.diff(best) == 0) & ~copies).any())


def _summary(prompt_ids: Sequence[str], of: int) -> str:
    return f"{len(prompt_ids)} of {of} prompts ({_listed(prompt_ids)})"


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
