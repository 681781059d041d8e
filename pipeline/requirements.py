"""Looks, before a run's first stage, for all that its stages will need from outside.

A benchmark's rows, an experiment tracker or room on the disk may be missing for a stage that
comes hours later. All of it is looked for at the start, and every fault is told at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pipeline.contract.errors import HeadwaterError, ResourceError, UsageError
from pipeline.contract.run.events import Event, Started
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.processes import SupervisorState
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size

_SPARE = 1 << 30
"""Bytes of the disk that are left to everything but factors."""


def require_all(stage: str, settings: Settings, run: RunDir, starts: Iterable[Event]) -> None:
    """Looks for what the stages behind `stage` need, if it is the first to do any work.

    `starts`: those of all stages so far.

    Raises:
        HeadwaterError: something is missing; of the first fault's kind, with all in its words.
    """
    behind = _stages_behind(stage, settings, run, starts)
    faults: dict[str, HeadwaterError] = {}
    for check in (check for name in behind for check in _CHECKS.get(name, ())):
        try:
            check(settings, run)
        except HeadwaterError as error:
            faults.setdefault(error.message, error)
    if faults:
        kind = type(next(iter(faults.values())))
        hints = dict.fromkeys(error.hint for error in faults.values() if error.hint)
        messages = "; ".join(" ".join(message.split()) for message in faults)
        raise kind(f"the stages that follow cannot be done: {messages}", "; ".join(hints))


def _stages_behind(
    stage: str, settings: Settings, run: RunDir, starts: Iterable[Event]
) -> list[str]:
    """The stages that will work after `stage`; none where one before it has worked already."""
    state = SupervisorState.read(run)
    if state is None or stage not in state.stages:
        return []
    position = state.stages.index(stage)
    for event in starts:
        is_earlier = isinstance(event, Started) and event.stage in state.stages[:position]
        if is_earlier and event.time >= state.began:
            return []
    now = RunFreshness(settings, run)
    return [name for name in state.stages[position + 1 :] if not now.is_fresh(name)]


def _trackers(settings: Settings, _run: RunDir) -> None:
    from pipeline.training.arguments import require_trackers

    require_trackers(settings)


def _devices(settings: Settings, _run: RunDir) -> None:
    from pipeline.training.devices import team_of

    if not settings.model.trained:
        team_of(settings)


def _workers(settings: Settings, _run: RunDir) -> None:
    from pipeline.model import select_device
    from pipeline.sharing.local_workers import workers_here

    workers_here(settings, str(select_device(settings)))


def _models(settings: Settings, _run: RunDir) -> None:
    from pipeline.model import require_models

    require_models(settings)


def _room_for_factors(settings: Settings, run: RunDir) -> None:
    from pipeline.influence.arguments import covariance_bytes, curvature_bytes
    from pipeline.planning.network import network_of

    shapes, needed = network_of(settings).shapes, 0
    for strategy in settings.factors.strategies:
        bases = curvature_bytes(shapes, strategy)
        # beside the eigenvectors the covariances that they are of
        whole = bases + (covariance_bytes(shapes) if strategy in ("ekfac", "kfac") else 0)
        there = sum(file.stat().st_size for file in run.factors(strategy).glob("*"))
        needed += max(0, whole - there)
    free = shutil.disk_usage(run.root).free
    if needed + _SPARE > free:
        raise ResourceError(
            f"the factors will take {size(needed)}, and {run.root} has {size(free)} free",
            "free some space; or name fewer factors.strategies, or fewer modules in [modules]",
        )


def _benchmark_rows(settings: Settings, _run: RunDir) -> None:
    from pipeline.evaluation.catalogue import all_questions, ready

    all_questions(ready(settings)[0])


def _chat_template(settings: Settings, _run: RunDir) -> None:
    from pipeline.corpus.chat import no_template, require_template, set_template
    from pipeline.corpus.tokenizers import pretrained_tokenizer

    what, named = "benchmark.chat_template = true", settings.data.chat_template
    if not settings.benchmark.chat_template:
        return
    if settings.tokenizer.source == "train":  # a new tokenizer has no template of its own
        if not named:
            raise no_template(what)
        return
    tokenizer = pretrained_tokenizer(settings)
    set_template(tokenizer, named)
    require_template(tokenizer, what)


def _files(named: str, paths: Callable[[Settings], Sequence[str]]) -> Callable[..., None]:
    def check(settings: Settings, _run: RunDir) -> None:
        if absent := [path for path in paths(settings) if not Path(path).exists()]:
            raise UsageError(f"{named}: there is no {', '.join(absent)}")

    return check


_CHECKS: dict[str, tuple[Callable[[Settings, RunDir], None], ...]] = {
    "train": (_trackers, _devices, _models),
    "factors": (_room_for_factors, _workers),
    "benchmark": (_benchmark_rows, _chat_template),
    "index": (_files("index.added", lambda settings: settings.index.added),),
    "validate": (_files("validation.outside", lambda settings: settings.validation.outside),),
}
"""Stage → what it needs from outside."""
