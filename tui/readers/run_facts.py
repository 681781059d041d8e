"""What a list says of a run: how it stands, what it was made of, its figures, a person's words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.manifest import made_at
from pipeline.contract.run.remarks import Remarks, read_remarks
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.status import StageStatus, headline_stage

if TYPE_CHECKING:
    from pipeline.contract.settings.schema import Settings

_FIGURED = ("train", "scores", "validate")


@dataclass(frozen=True)
class Figures:
    """Results of the stages that are up to date; None where there is none."""

    loss: float | None = None
    """Of held-out text, nats a token."""
    train_loss: float | None = None
    """Of training text, nats a token."""
    mrr: float | None = None
    """Of the run's own ranking, where it is known which documents state the answers."""
    lds: float | None = None
    """Linear datamodeling score of the run's own ranking."""


@dataclass(frozen=True)
class RunFacts:
    """A run in a list. What is not known is empty or None."""

    run: str
    state: str
    """Of the stage that says most about the run; "settings" where these cannot be read."""
    stage: str
    model: str
    data: str
    figures: Figures
    remarks: Remarks
    time: float
    """When something happened in it for the last time, seconds since the epoch."""
    size: int | None = None
    """Bytes on the disk."""


def state_of(stages: Sequence[StageStatus]) -> tuple[str, str]:
    """State and name of the stage that says most about a run."""
    headline = headline_stage(stages)
    return (headline.state, headline.stage) if headline else ("settings", "")


def model_of(settings: Settings) -> str:
    """The model that a run trains or takes as it is: `TinyLlama/TinyLlama_v1.1 + LoRA`."""
    chosen = settings.model
    named = chosen.trained or (chosen.preset if chosen.init == "scratch" else chosen.name)
    adapter = " + LoRA" if settings.lora.rank and not chosen.trained else ""
    return _last_part(named) + adapter


def data_of(settings: Settings) -> str:
    """The corpus: a dataset's name, or the last part of a path."""
    data = settings.data
    return _last_part(data.path) if data.source != "demo" else data.source


def _last_part(name: str) -> str:
    """A hub's name as it is, of a path its last part."""
    return Path(name).name if Path(name).is_absolute() else name


def figures_key(stages: Sequence[StageStatus]) -> tuple[object, ...]:
    """Changes with the figures; empty where there are none."""
    return tuple(
        (one.stage, one.seconds) for one in stages if one.stage in _FIGURED and one.state == "done"
    )


def figures_of(run: RunDir, stages: Sequence[StageStatus]) -> Figures:
    """What the stages that are up to date have found; a file that cannot be read counts as none."""
    # here: no run has figures before its first look has been shown
    from pipeline.contract.results.scores import read_scores_summary
    from pipeline.contract.results.training import read_training
    from pipeline.contract.results.validation import findings, read_validation

    done = {one.stage for one in stages if one.state == "done"}
    loss = train_loss = mrr = lds = None
    with suppress(HeadwaterError):
        if "train" in done:
            training = read_training(run)
            loss, train_loss = training.validation_loss, training.train_loss
    with suppress(HeadwaterError):
        if "scores" in done:
            scores = read_scores_summary(run)
            known = scores.evaluation.get(scores.default_method)
            mrr = known.mrr if known else None
    with suppress(HeadwaterError):
        if "validate" in done:
            summary = read_validation(run)
            found = {one.name: one for one in findings(summary, "datamodeling")}
            named = found.get(summary.default_method)
            lds = named.estimate.value if named else None
    return Figures(loss, train_loss, mrr, lds)


def remarks_of(run: RunDir) -> Remarks:
    """Tags and note; where they cannot be read, the note says so."""
    try:
        return read_remarks(run)
    except HeadwaterError as error:
        return Remarks(note=f"✗ {error.message}")


def time_of(run: RunDir, last_event: float) -> float:
    """When something happened for the last time: an event, else the making of the run, else what
    was done to its settings; 0 where the run is gone."""
    if last_event > 0 and math.isfinite(last_event):
        return last_event
    if (made := made_at(run)) is not None:
        return made
    try:
        return run.settings.stat().st_mtime
    except OSError:
        return 0.0
