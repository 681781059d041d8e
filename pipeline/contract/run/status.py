"""The status of each stage of a run, read from its folder alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from pipeline.contract.files import read_object
from pipeline.contract.run.attempts import STANDING, Attempt, read_attempts
from pipeline.contract.run.events import Cancelled, Failed, Progress
from pipeline.contract.run.freshness import Done, RunFreshness
from pipeline.contract.run.processes import SupervisorState, is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import stages_job
from pipeline.contract.run.slurm_words import ending, waiting
from pipeline.contract.run.stages import GROUPS, STAGES, upstream, usual_stages

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

State = Literal[
    "waiting",
    "queued",
    "running",
    "stopping",
    "finished",
    "done",
    "stale",
    "failed",
    "cancelled",
    "lost",
]


@dataclass(frozen=True)
class StageStatus:
    """The state and progress of a stage."""

    stage: str
    state: State
    """waiting = never run; queued = the supervisor, or a Slurm job, will start it; stale =
    finished, but with other settings or inputs than now; finished = one of done and stale, as
    nobody has looked at the settings yet; lost = its process is gone and left no word."""
    seconds: float | None = None
    """How long it has run, or took."""
    done: float | None = None
    total: float | None = None
    unit: str = ""
    phase: str = ""
    share: float | None = None
    """How much of all that it does is done, from 0 to 1, as the stage itself reckons."""
    eta: float | None = None
    """Seconds still to go, as the stage itself reckons."""
    message: str = ""
    """Why it failed, and what to do."""
    warnings: int = 0

    asked: bool = False
    """Whether anybody has asked for it, by its name or with a group."""
    optional: bool = False
    """Whether it runs only when it is asked for by name."""

    @property
    def at_work(self) -> bool:
        """Whether its process works at it."""
        return self.state in ("running", "stopping")

    @property
    def unasked(self) -> bool:
        """An optional stage that nobody has asked for yet."""
        return self.state == "waiting" and self.optional and not self.asked


def left_over(statuses: Iterable[StageStatus]) -> tuple[str, ...]:
    """The stages left to run: begun or asked for and not up to date, and what these need."""
    unfinished = {s.stage: s for s in statuses if s.state != "done"}
    left = {s.stage for s in unfinished.values() if s.state != "waiting" or s.asked}
    needed = left.union(*map(upstream, left)) & set(unfinished)
    return tuple(name for name in STAGES if name in needed)


def headline_stage(statuses: Sequence[StageStatus]) -> StageStatus | None:
    """The stage that says most about a run: at work, else in trouble, else the last one done."""
    at_work = [status for status in statuses if status.at_work]
    in_trouble = [status for status in statuses if status.state in ("failed", "lost", "cancelled")]
    ended = [status for status in statuses if status.state in ("done", "stale")]
    return next(iter([*at_work, *in_trouble, *reversed(ended), *statuses]), None)


def run_status(
    run: RunDir, settings: Settings | None, attempts: Mapping[str, Attempt] | None = None
) -> list[StageStatus]:
    """The status of every stage; `attempts` where the caller has read them already.

    Without settings, whose library takes longer to import than all else to read, a stage that has
    ended well is "finished".
    """
    attempts = read_attempts(run, STANDING) if attempts is None else attempts
    supervisor = SupervisorState.read(run)
    usual = usual_stages(settings) if settings else GROUPS["all"]
    # runs of earlier versions do not say what was asked for
    asked = (supervisor.asked if supervisor else ()) or usual
    working, freshness = is_locked(run), RunFreshness(settings, run) if settings else None
    statuses = [
        _stage_status(name, run, freshness, supervisor, working, attempts.get(name, Attempt()))
        for name in STAGES
    ]
    if not working:
        statuses = _told_by_slurm(statuses, run)
    return [
        replace(one, asked=one.stage in asked, optional=one.stage not in usual) for one in statuses
    ]


def _told_by_slurm(statuses: list[StageStatus], run: RunDir) -> list[StageStatus]:
    """The stages with what a job says of them that has not begun, or that ended in one of them."""
    found = stages_job(run)
    if found is None:
        return statuses
    submission, job = found
    left = [
        number
        for number, one in enumerate(statuses)
        if one.stage in submission.stages and one.state not in ("done", "finished")
    ]
    if job.is_active:
        for number in left:
            message = waiting(job) if number == left[0] else ""
            statuses[number] = replace(statuses[number], state="queued", message=message)
    elif ended := ending(job, run.name):
        # what failed has said why, and the job went on with others
        for number in [number for number in left if statuses[number].state != "failed"][:1]:
            statuses[number] = replace(statuses[number], state=ended[0], message=ended[1])
    return statuses


def _stage_status(
    stage: str,
    run: RunDir,
    freshness: RunFreshness | None,
    supervisor: SupervisorState | None,
    working: bool,
    attempt: Attempt,
) -> StageStatus:
    unfinished = supervisor if supervisor and supervisor.exit_code is None else None
    began = 0.0
    if unfinished and working and stage in _ahead(unfinished):
        state, message = _state_at_work(stage, run, unfinished), ""
        if stage == unfinished.stage:
            began = unfinished.stage_started
            attempt = attempt.since(began)  # no earlier attempt's
    else:
        lost = unfinished is not None and not working and unfinished.stage == stage
        state, message = _state_at_rest(stage, run, freshness, attempt, lost)
    progress = attempt.progress
    done = freshness.done(stage) if freshness else Done.read(stage, run)
    seconds = done.seconds if done else None
    if began:
        seconds = time.time() - began
    return StageStatus(
        stage=stage,
        state=state,
        seconds=seconds,
        done=progress.done if progress else None,
        total=progress.total if progress else None,
        unit=progress.unit if progress else "",
        phase=progress.phase if progress else "starting" if began else "",
        share=_share(progress),
        eta=progress.eta if progress and state == "running" else None,
        message=message,
        warnings=len(attempt.warnings),
    )


def _share(progress: Progress | None) -> float | None:
    """Of the stage; of its phase, where a run of an earlier version tells no more."""
    if progress is None or progress.share is not None:
        return progress and progress.share
    return min(1.0, progress.done / progress.total) if progress.total else None


def _ahead(supervisor: SupervisorState) -> tuple[str, ...]:
    """The stage at work and those that will follow it."""
    if supervisor.stage in supervisor.stages:
        return supervisor.stages[supervisor.stages.index(supervisor.stage) :]
    return supervisor.stages


def _state_at_work(stage: str, run: RunDir, supervisor: SupervisorState) -> State:
    if stage != supervisor.stage:
        return "queued"
    return "stopping" if run.cancel_request.exists() else "running"


def _state_at_rest(
    stage: str, run: RunDir, freshness: RunFreshness | None, attempt: Attempt, lost: bool
) -> tuple[State, str]:
    """State and message of a stage that is not running; `lost`: its supervisor was killed."""
    if freshness is None and Done.read(stage, run):
        return "finished", ""
    if freshness and freshness.done(stage):
        return ("done" if freshness.is_fresh(stage) else "stale"), ""
    match attempt.ending:
        case Cancelled(message=message):
            return "cancelled", message
        case Failed(message=message, hint=hint):
            return "failed", "\n".join(filter(None, [message, hint]))
    exit_record = read_object(run.exit(stage)) or {}
    if exit_record.get("state") == "done":  # of the attempt that `run --force` has forgotten
        return "lost", "it was to run again and has not; `headwater resume` runs it"
    if exit_record.get("state") in get_args(State):
        return exit_record["state"], str(exit_record.get("reason", ""))
    if lost or not attempt.is_empty:
        return "lost", "its process is gone and left no word; `headwater resume` goes on from there"
    return "waiting", ""
