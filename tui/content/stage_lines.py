"""A stage in lines: what it does, needs, took and made, and what a person can do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.contract.run.stages import STAGES
from pipeline.contract.units import duration, size
from tui.content.ink import Ink, Part, fit
from tui.content.states import SYMBOLS, phase_told
from tui.content.worker_text import worker_told, workers_told
from tui.keys import with_keys
from tui.readers.clean import clean

if TYPE_CHECKING:
    from pipeline.contract.run.status import StageStatus, State
    from tui.readers.stage_results import StageResults
    from tui.readers.workers import SeenWorker

Line = list[Part]
_LABEL = 16
"""Cells of the names on the left."""
_INDENT = "  "
_SHOWN_BY = {
    "prepare": "{run.prompts} shows the prompts, {run.settings} the settings that chose the text",
    "train": "{run.metric} draws its other curves, {run.ask} puts a prompt to the model",
    "factors": "{run.factors} shows the curvature",
    "scores": "{run.rankings} shows which examples taught an answer",
    "inspect": "{run.factors} shows the spectra",
    "generate": "{run.evaluation} shows the answers",
    "evaluate": "{run.evaluation} shows how the models compare",
    "benchmark": "{run.evaluation} shows the scores, and each question",
    "index": "{run.ask} puts a new prompt to the model",
    "validate": "{run.evaluation} shows what was proven",
    "prove": "{run.rankings} shows the verdict above the ranking",
    "report": "{run.report} reads it here",
}
"""Stage → the keys that show what it made."""


def stage_lines(
    stage: StageStatus,
    stages: Sequence[StageStatus],
    results: StageResults | None,
    warnings: Sequence[str],
    workers: Sequence[SeenWorker],
    keymap: Mapping[str, str],
    width: int,
) -> list[Line]:
    """The stage in lines of at most `width` cells.

    `results`: of a stage that has finished once; None while they are being read, or there are none.
    """
    return [
        line
        for parts in _parts(stage, stages, results, warnings, workers, keymap, width)
        for line in parts
    ]


def _parts(
    stage: StageStatus,
    stages: Sequence[StageStatus],
    results: StageResults | None,
    warnings: Sequence[str],
    workers: Sequence[SeenWorker],
    keymap: Mapping[str, str],
    width: int,
) -> Iterator[list[Line]]:
    if len(workers) > 1:  # first, because on a small screen nothing else of them is seen
        yield from _shared(workers, width)
    yield [[(line, "strong")] for line in textwrap.wrap(STAGES[stage.stage].does, max(20, width))]
    yield _row("next", with_keys(_next(stage, stages), keymap), width, "accent")
    if stage.at_work and (stage.phase or stage.total):
        yield _row("doing", phase_told(stage), width)
    yield _needs(stage, stages, width)
    planned = results.expected if results and stage.seconds is None else ""
    if planned:
        yield _row("will take", planned, width)
    else:
        yield _row(_spent(stage), _cost(stage, results), width, "plain" if stage.seconds else "dim")
    for name, value in results.figures if results else ():
        yield _row(name, value, width)
    for number, line in enumerate(results.trouble.splitlines() if results else ()):
        yield _row("" if number else "unreadable", line.strip(), width, "bad")
    for warning in warnings:
        yield _row("warning", warning, width, "warn")


def _row(name: str, value: str, width: int, ink: Ink = "plain") -> list[Line]:
    lines = textwrap.wrap(clean(value), max(20, width - _LABEL)) or [""]
    labels = [clean(name), *[""] * (len(lines) - 1)]
    return [
        [(fit(label, _LABEL - 1) + " ", "dim"), (line, ink)]
        for label, line in zip(labels, lines, strict=True)
    ]


def _shared(workers: Sequence[SeenWorker], width: int) -> Iterator[list[Line]]:
    """Who shares the work: all together, then each, first who holds the others up."""
    yield _row("workers", workers_told(workers), width)
    for worker in sorted(workers, key=lambda one: (not one.lost, not one.slow)):
        ink: Ink = "bad" if worker.lost else "warn" if worker.slow else "plain"
        told = textwrap.wrap(clean(worker_told(worker)), max(20, width - len(_INDENT)))
        yield [[(_INDENT, "plain"), (line, ink)] for line in told]


def _needs(stage: StageStatus, stages: Sequence[StageStatus], width: int) -> list[Line]:
    needs = STAGES[stage.stage].needs
    if not needs:
        return []
    states: dict[str, State] = {one.stage: one.state for one in stages}
    parts: Line = [(fit("needs", _LABEL), "dim")]
    for name in needs:
        symbol, ink = SYMBOLS[states[name]]
        parts += [(f"{symbol} ", ink), (f"{name}  ", "plain")]
    return [parts]


def _spent(stage: StageStatus) -> str:
    """What the time and the room that are told are."""
    if stage.at_work:
        return "so far"
    return "took" if stage.seconds is not None else "takes"


def _cost(stage: StageStatus, results: StageResults | None) -> str:
    """Time, memory and disk, as far as they are known."""
    if stage.seconds is None:
        return "not known before it has run here"
    parts = [duration(stage.seconds)]
    if results and results.memory:
        parts.append(f"{size(results.memory)} of memory")
    if results and results.disk:
        parts.append(f"{size(results.disk)} on the disk")
    return ", ".join(parts)


def _next(stage: StageStatus, stages: Sequence[StageStatus]) -> str:
    """What a person can do now, with the names of keys in braces."""
    unfinished = {one.stage for one in stages if one.state not in ("done", "finished")}
    missing = [name for name in STAGES[stage.stage].needs if name in unfinished]
    first = f", after {' and '.join(missing)}" if missing else ""
    match stage.state:
        case "waiting":
            return f"{{run.run_stage}} runs it{first}"
        case "queued":
            return "its turn comes after the stages before it"
        case "running":
            return "{run.cancel} stops it; it goes on from there when it is started again"
        case "stopping":
            return "{run.cancel} again kills it"
        case "stale":
            return f"{{run.run_stage}} runs it again{first}: what it reads has changed since"
        case "failed" | "cancelled" | "lost":
            return f"{{run.resume}} goes on from where it stopped{first}"
        case "done" | "finished":
            return _SHOWN_BY[stage.stage]
