"""The training's metrics: their names, and their curves as its `metric` events tell them.

The dashboard draws its first chart by these names, before there is anything to read: what reads
files is imported when it is needed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.contract.run.events import Event

STAGE = "train"

LOSS = "loss"
VALIDATION_LOSS = "validation_loss"
PERPLEXITY = "perplexity"
LEARNING_RATE = "learning_rate"
GRADIENT_NORM = "grad_norm"
TOKENS_PER_SECOND = "tokens_per_second"
TOKENS = "tokens"
"""Seen since the beginning: another count of the steps. Runs of earlier versions do not tell it."""

UNITS = {
    LOSS: "nats/token",
    VALIDATION_LOSS: "nats/token",
    TOKENS_PER_SECOND: "tokens/s",
}
"""Metric → its unit; those that are not here have none."""

Curves = dict[str, tuple["array[int]", "array[float]"]]
"""Metric → steps, rising, and the values there."""


def superseded_from(steps: Sequence[float], step: float) -> int:
    """The index from which a metric's readings, by rising step, no longer hold when `step` comes.

    A training that goes on from a checkpoint repeats the steps after it: what an earlier attempt
    read there belongs to weights that are gone. One that starts anew repeats all of them.
    """
    return bisect_left(steps, step)


def learning_curves(events: Iterable[Event], names: Collection[str]) -> Curves:
    """Some of the training's metrics, without what a later attempt has superseded."""
    from pipeline.contract.run.events import Metric

    curves: Curves = {}
    for event in events:
        if isinstance(event, Metric) and event.stage == STAGE and event.name in names:
            steps, values = curves.setdefault(event.name, (array("q"), array("d")))
            if steps and steps[-1] >= event.step:
                kept = superseded_from(steps, event.step)
                del steps[kept:], values[kept:]
            steps.append(event.step)
            values.append(event.value)
    return curves
