"""Compares every file of a run with what its stage wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.contract.damage.form import form_fault
from pipeline.contract.errors import DamagedResultError, HeadwaterError
from pipeline.contract.files import printable, read_object
from pipeline.contract.run.checksums import (
    Checksums,
    Told,
    begun_fault,
    fault_of,
    written_files,
)
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.processes import SupervisorState
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES

FOREIGN = "done.json and files.json are not of the same finish"


@dataclass(frozen=True)
class Fault:
    """A file that is not what was written."""

    file: str
    """Its path below the run."""
    what: str
    """What is wrong with it."""
    stage: str
    """The stage that wrote it; "" of what no stage writes."""


@dataclass(frozen=True)
class StageCheck:
    """What was found of a finished stage's files."""

    stage: str
    by: Literal["checksums", "form"]
    """form: there are no checksums, as in runs of earlier versions; only whether a file of its kind
    can be read was looked at."""
    files: int
    bytes: int
    faults: tuple[Fault, ...]

    @property
    def is_known(self) -> bool:
        """Whether checksums tell which of the files are whole."""
        return self.by == "checksums"


@dataclass(frozen=True)
class Verification:
    """What was found of a run."""

    stages: tuple[StageCheck, ...]
    own: tuple[Fault, ...]
    """Of files that no stage writes."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that were found, each file once."""
        found: dict[str, Fault] = {}
        for fault in (*self.own, *(fault for check in self.stages for fault in check.faults)):
            found.setdefault(fault.file, fault)
        return tuple(found.values())


def verify_run(
    run: RunDir,
    told: Told = lambda _: None,
    checked: Callable[[StageCheck], object] = lambda _: None,
) -> Verification:
    """Checks every file of a run.

    `told` hears how many bytes have been read just now, `checked` of every finished stage.
    """
    stages = []
    for stage in STAGES:
        if check := verify_stage(run, stage, told):
            stages.append(check)
            checked(check)
    return Verification(tuple(stages), tuple(_own_faults(run)))


def verify_stage(run: RunDir, stage: str, told: Told = lambda _: None) -> StageCheck | None:
    """Checks every file that a finished stage wrote; None where it has not finished.

    `told` hears how many bytes have been read just now.
    """
    faults = []
    sums, done = None, None
    try:
        done = Done.read(stage, run)
    except DamagedResultError as error:
        faults.append(Fault(_name(run.done(stage), run), error.message, stage))
    try:
        sums = Checksums.read(stage, run)
    except DamagedResultError as error:
        faults.append(Fault(_name(run.checksums(stage), run), error.message, stage))
    if not faults and sums is None and done is None:
        return None
    if done and sums and done.id != sums.finish:
        both = (run.done(stage), run.checksums(stage))
        faults.extend(Fault(_name(path, run), FOREIGN, stage) for path in both)
        sums = None
    if done and done.checksums and sums is None and not faults:
        faults.append(Fault(_name(run.checksums(stage), run), "it is gone", stage))
    if sums is None:
        return _by_form(run, stage, faults, told)
    return _by_checksums(run, stage, sums, faults, told)


def _by_checksums(
    run: RunDir, stage: str, sums: Checksums, faults: list[Fault], told: Told
) -> StageCheck:
    named = {fault.file for fault in faults}
    for name, then in sums.written.items():
        if name not in named and (what := fault_of(run.root / name, then, told)):
            faults.append(Fault(name, what, stage))
    for name, then in sums.begun.items():
        if what := begun_fault(run.root / name, then, told):
            faults.append(Fault(name, what, stage if name in STAGES[stage].appended else ""))
    size = sum(then.size for then in sums.written.values())
    return StageCheck(stage, "checksums", len(sums.written), size, tuple(faults))


def _by_form(run: RunDir, stage: str, faults: list[Fault], told: Told) -> StageCheck:
    files, size = list(written_files(stage, run)), 0
    for path in files:
        if what := form_fault(path):
            faults.append(Fault(_name(path, run), what, stage))
        size += path.stat().st_size
        told(path.stat().st_size)
    return StageCheck(stage, "form", len(files), size, tuple(faults))


def _own_faults(run: RunDir) -> Iterator[Fault]:
    """Checks the form of what no stage writes: a person may change these."""
    from pipeline.contract.settings.loading import load_settings  # pydantic takes a while
    from pipeline.contract.settings.prompts import load_prompts

    try:
        settings = load_settings(run.settings)
        if settings.data.source != "demo" or run.prompts.exists():
            load_prompts(run.prompts, use_generated=True)
    except HeadwaterError as error:
        path = run.prompts if str(run.prompts) in error.message else run.settings
        yield Fault(_name(path, run), error.message, "")
    try:
        SupervisorState.read(run)
    except DamagedResultError as error:
        yield Fault(_name(run.state, run), error.message, "")
    for path in (run.manifest, run.state, *(run.exit(stage) for stage in STAGES)):
        if path.exists() and read_object(path) is None:
            yield Fault(_name(path, run), "it is no JSON object", "")


def bytes_to_read(run: RunDir) -> int:
    """How much `verify_stage` will read of all stages."""
    return sum(path.stat().st_size for stage in STAGES for path in written_files(stage, run))


def _name(path: Path, run: RunDir) -> str:
    return printable(path.relative_to(run.root))
