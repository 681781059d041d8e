"""What a ranking's examples do to the prompts, compared with what random examples do.

Shape legend: Q prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from pipeline.contract.results.validation import RANDOM
from pipeline.contract.results.verdict import Difference, Estimate
from pipeline.evaluation.statistics import mean, paired_difference
from pipeline.validation.context import ValidationContext
from pipeline.validation.ledger import Outcome

T = TypeVar("T")
MakeEffect = Callable[[Estimate, Difference | None, Mapping[str, float | None]], T]
"""From the mean, the advantage over random examples, and the effect on each prompt."""


def compare_with_random(
    effects: Mapping[str, Outcome], make: MakeEffect[T], context: ValidationContext
) -> dict[str, T]:
    """Each method's mean effect and its advantage over RANDOM, both with intervals.

    `effects` [Q] are NaN where missing; the means are over the prompts that have an effect under
    every method, so that all are means over the same. {} where no prompt has.
    """
    there = np.isfinite(list(effects.values())).all(axis=0)
    if not there.any():
        return {}
    random = effects[RANDOM][there].tolist()
    ids = [prompt.id for prompt in context.prompts]
    results: dict[str, T] = {}
    for method, values in effects.items():
        finite = values[there].tolist()
        advantage = paired_difference(random, finite, context.seed) if method != RANDOM else None
        each = [value if np.isfinite(value) else None for value in values.tolist()]
        results[method] = make(
            mean(finite, context.seed), advantage, dict(zip(ids, each, strict=True))
        )
    return results
