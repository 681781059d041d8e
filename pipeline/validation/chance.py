"""What examples do to their prompts beside what random ones do.

Shape legend: Q prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.evaluation.statistics import mean, paired_difference
from pipeline.validation.ledger import Outcome
from pipeline.validation.subject import Subject

RANDOM = "random"


def over_chance(effects: Mapping[str, Outcome], name: str, subject: Subject) -> dict[str, Any]:
    """Each method's mean effect under `name`, its `advantage` over RANDOM, both with intervals,
    and `prompts`, the effect on each. {} where no prompt has an effect under every method.

    `effects` [Q] are NaN where missing; the means are over the prompts that have them all.
    """
    there = np.isfinite(list(effects.values())).all(axis=0)
    if not there.any():
        return {}
    chance = effects[RANDOM][there].tolist()
    found: dict[str, Any] = {}
    for method, values in effects.items():
        sound = values[there].tolist()
        advantage = paired_difference(chance, sound, subject.seed)
        each = [value if np.isfinite(value) else None for value in values.tolist()]
        found[method] = {
            name: asdict(mean(sound, subject.seed)),
            "advantage": None if method == RANDOM else asdict(advantage),
            "prompts": dict(zip((prompt.id for prompt in subject.prompts), each, strict=True)),
        }
    return found
