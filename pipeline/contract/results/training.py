"""What a training took and what came of it: `train/summary.json`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.results.learning_curves import STAGE
from pipeline.contract.run.run_dir import RunDir


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
