"""Puts damaged files of a run away, so that their stages run again from what is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.contract.damage.verify import Fault, StageCheck, Verification
from pipeline.contract.errors import disk_errors_explained
from pipeline.contract.run.archive import nothing_at_work
from pipeline.contract.run.checksums import Checksums, begun_sums
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES, downstream


@dataclass(frozen=True)
class Repair:
    """What was done."""

    away: tuple[str, ...]
    """Files and folders, below the run, that were put away."""
    folder: Path | None
    """Where they lie now; None where there were none."""
    again: tuple[str, ...]
    """The stages to run again, in their order."""
    by_hand: tuple[Fault, ...]
    """What only a person can write anew."""


def repair(run: RunDir, found: Verification) -> Repair:
    """Puts every damaged file into `damaged/<time>/`; nothing is deleted.

    A folder below a stage's own goes with its damaged file: a model, a checkpoint or an index is
    whole, or of no use. The stage goes on from what is left when it runs again. Where no checksums
    tell what is whole, all that it wrote is put away.

    Raises:
        RunBusyError: something is working in the run.
        UsageError: the run may not be written to.
    """
    asked = {_name(path, run) for path in (run.settings, run.prompts)}
    damaged = [fault for fault in found.faults if fault.file not in asked]
    stages = {fault.stage for fault in damaged if fault.stage}
    unknown = {check.stage for check in found.stages if not check.is_known} & stages
    with disk_errors_explained(run.root), nothing_at_work(run):
        target = run.damaged / time.strftime("%Y-%m-%d_%H-%M-%S")
        units = {name for stage in unknown for name in _all_of(run, stage)}
        units |= {_unit(run, fault) for fault in damaged if fault.stage not in unknown}
        away = [name for name in sorted(units) if _put_away(run, name, target)]
        for stage in stages:
            _reopen(run, stage)
        for check in found.stages:
            _forget_history(run, check)
    reached = {name for stage in stages for name in downstream(stage)}
    return Repair(
        away=tuple(away),
        folder=target if away else None,
        again=tuple(name for name in STAGES if name in reached and _has_run(run, name, stages)),
        by_hand=tuple(fault for fault in found.faults if fault.file in asked),
    )


def _all_of(run: RunDir, stage: str) -> Iterator[str]:
    yield _name(run.stage(stage), run)
    for pattern in STAGES[stage].other_folders:
        yield from (_name(path, run) for path in run.root.glob(pattern))


def _unit(run: RunDir, fault: Fault) -> str:
    """What goes together with a file: its folder, unless that is the run's or a stage's own."""
    path = run.root / fault.file
    own = {run.root, *(run.stage(stage) for stage in STAGES)}
    return _name(path if path.parent in own else path.parent, run)


def _put_away(run: RunDir, name: str, target: Path) -> bool:
    path, kept = run.root / name, target / name
    if not os.path.lexists(path):
        return False
    kept.parent.mkdir(parents=True, exist_ok=True)
    path.rename(kept)
    return True


def _reopen(run: RunDir, stage: str) -> None:
    """Forgets that the stage has finished, but not what it was reading."""
    paths = [run.done(stage), run.checksums(stage)]
    if STAGES[stage].writes_corpus:
        paths.append(run.corpus_mark)
    for path in paths:
        path.unlink(missing_ok=True)


def _forget_history(run: RunDir, check: StageCheck) -> None:
    """Leaves events out of a stage's checksums where the file that held them was put away."""
    if any(not fault.stage for fault in check.faults) and run.checksums(check.stage).exists():
        sums = Checksums.read(check.stage, run)
        if sums:
            replace(sums, begun=begun_sums(check.stage, run)).write(check.stage, run)


def _has_run(run: RunDir, stage: str, reopened: Collection[str]) -> bool:
    return stage in reopened or run.done(stage).exists()


def _name(path: Path, run: RunDir) -> str:
    return str(path.relative_to(run.root))
