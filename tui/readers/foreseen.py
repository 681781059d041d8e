"""What is known of work before it begins: its stages, its size, and how long they took here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results import validation
from pipeline.contract.results.examples import read_corpus_summary
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.status import StageStatus
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import duration

LONG_S = 600.0
"""Work of so many seconds is started only when a person has been told."""


@dataclass(frozen=True)
class Foreseen:
    """What a person is told before work begins."""

    is_long: bool
    """Whether it takes more than ten minutes, or may."""
    text: str


def foreseen(run: RunDir, stages: Sequence[StageStatus]) -> Foreseen:
    """What the run's own files tell of these stages.

    Raises:
        SettingsError: the settings cannot be read.
    """
    settings = load_settings(run.settings)
    known = sum(stage.seconds or 0.0 for stage in stages)
    unknown = any(stage.seconds is None and not _is_small(stage, settings) for stage in stages)
    names = ", ".join(stage.stage for stage in stages)
    times = " ".join(_times(stages))
    trains = any(stage.stage in ("train", validation.STAGE) for stage in stages)
    text = f"These run, in this order: {names}.\n\n{_sentence(run, settings, trains)} {times}"
    return Foreseen(known > LONG_S or unknown, text)


def _is_small(stage: StageStatus, settings: Settings) -> bool:
    """Whether it is a stage of the demo: a minute or so each, but a validation trains again."""
    is_demo = settings.data.source == "demo" and settings.model.init == "scratch"
    return is_demo and settings.model.preset == "nano" and stage.stage != validation.STAGE


def _times(stages: Sequence[StageStatus]) -> Iterator[str]:
    """A sentence for each stage that has run here, and one for those that have not."""
    unknown = list[str]()
    for stage in stages:
        if stage.seconds is not None:
            yield f"{stage.stage} took {duration(stage.seconds)}."
        elif stage.share:
            at = f"{floor(100 * stage.share)} %"
            yield f"{stage.stage} stopped at {at}; how long the rest takes is not known."
        else:
            unknown.append(stage.stage)
    if unknown:
        which = "it takes" if len(stages) == 1 else "they take"
        if len(unknown) < len(stages):
            which = f"{', '.join(unknown)} {'takes' if len(unknown) == 1 else 'take'}"
        yield f"How long {which} is not known before the first time."


def _sentence(run: RunDir, settings: Settings, trains: bool) -> str:
    """`tinyllama-1.1b from scratch: 3 epochs of training on 120,000 examples (31,000,000 tokens).`

    `trains`: whether any of the stages trains a model.
    """
    model = settings.model
    name = model.trained or model.name
    what = f"{model.preset} from scratch" if model.init == "scratch" and not model.trained else name
    try:
        corpus = read_corpus_summary(run)
    except MissingResultError:
        size = "a corpus whose size is known once prepare has run"
    else:
        size = f"{corpus.examples:,} examples ({corpus.tokens:,} tokens)"
    times = settings.train.epochs
    epochs = f"{times:g} epoch{'s' * (times != 1)} of training on "
    return f"{what}: {epochs if trains and not model.trained else ''}{size}."
