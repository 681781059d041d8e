"""The training: its summary, the names of its metrics, and its learning curves.

Files: `train/summary.json`, and the `metric` events of the train stage.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.run.events import Event, Metric
from pipeline.contract.run.run_dir import RunDir

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


@dataclass(frozen=True)
class AdapterSummary:
    """A LoRA adapter: W·x + s·B·A·x in every adapted layer, A and B trained, W not."""

    rank: int
    alpha: float
    rslora: bool
    """Whether s is alpha ÷ √rank; else alpha ÷ rank."""
    modules: int
    """Adapted layers."""
    parameters: int
    """Numbers that were trained."""


@dataclass(frozen=True)
class TrainingSummary:
    """What a training took and what came of it. Losses are in nats a token.

    Steps, epochs and tokens count from the base model; seconds and the rate are of the last
    attempt alone.
    """

    parameters: int
    steps: int
    epochs: float
    tokens: int
    tokens_per_second: float | None
    """None where the last attempt had nothing left to train."""
    train_loss: float | None
    validation_loss: float | None
    """None where nothing is held out, as for the four below it."""
    perplexity: float | None
    base_validation_loss: float | None
    """Of the model before training."""
    base_perplexity: float | None
    unigram_loss: float | None
    """Cross-entropy of the held-out tokens under the training tokens' frequencies: what a model
    that has learnt anything beyond them is below."""
    stopped_early: str | None
    """Why the training ended before its last step; None where it did not."""
    seconds: float
    trained_elsewhere: str | None = None
    """Hub name or folder of the model that was taken as it is; None where this run trained it. Its
    training loss is of a sample of the examples, and steps, epochs and tokens are 0."""
    adapter: AdapterSummary | None = None
    """None where all weights were trained."""


def write_training(run: RunDir, summary: TrainingSummary) -> None:
    """Writes the summary."""
    write_record(run.summary(STAGE), summary)


def read_training(run: RunDir) -> TrainingSummary:
    """Reads the summary.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: it is not what the train stage writes.
    """
    return read_record(run, STAGE, run.summary(STAGE), TrainingSummary)


def load_training(run: RunDir) -> Loaded[TrainingSummary]:
    """The summary of a finished training; see `common.load` for the errors."""
    return load(run, STAGE, read_training)


def superseded_from(steps: Sequence[float], step: float) -> int:
    """The index from which a metric's readings, by rising step, no longer hold when `step` comes.

    A training that goes on from a checkpoint repeats the steps after it: what an earlier attempt
    read there belongs to weights that are gone. One that starts anew repeats all of them.
    """
    return bisect_left(steps, step)


def learning_curves(events: Iterable[Event], names: Collection[str]) -> Curves:
    """Some of the training's metrics, without what a later attempt has superseded."""
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
