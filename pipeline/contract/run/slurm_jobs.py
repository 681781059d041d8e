"""A run's jobs in Slurm: which were submitted, and what Slurm said of them at the last look.

    slurm/jobs.json       written when jobs are submitted, removed when others work in the run
    slurm/states.json     what Slurm says of them; whoever looks at the run writes it anew

Two files, for a look that began before a new submission must not undo it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass

from pipeline.contract.errors import DamagedResultError, RunBusyError
from pipeline.contract.files import read_json, read_object, write_json
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

SIGNAL_LEAD_S = 120
"""How long before its time limit a job is asked to stop, so that its stage can keep its work."""
_SIGNAL_SLACK_S = 90
"""Slurm may ask up to a minute earlier, and the stage then takes a while to stop."""
_ACTIVE = {
    *("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "STAGE_OUT"),
    *("RESIZING", "SIGNALING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD"),
    "SPECIAL_EXIT",
}
GONE = "GONE"
"""Not a state of Slurm's: it does not know the job any more."""


@dataclass(frozen=True)
class Submission:
    """The jobs of a run; the content of `jobs.json`."""

    stages_job: str
    """Number of the job that runs the stages."""
    stages: tuple[str, ...]
    """Which it runs, in order."""
    workers_job: str = ""
    """Number of the array of workers; empty = none."""
    workers: int = 0
    submitted: float = 0.0
    """Seconds since the epoch."""

    @property
    def jobs(self) -> tuple[str, ...]:
        """The numbers of both."""
        return tuple(filter(None, (self.stages_job, self.workers_job)))

    def write(self, run: RunDir) -> None:
        """Replaces the run's submission."""
        run.job_states.unlink(missing_ok=True)
        write_json(run.jobs, asdict(self))


@dataclass(frozen=True)
class JobState:
    """What Slurm says of a job, or of a task of an array."""

    job: str
    """`12`, or `12_3` for a task of an array."""
    state: str
    """In Slurm's words, such as PENDING; or `GONE`."""
    reason: str = ""
    """Why it waits or has failed, in Slurm's words; empty where it gives none."""
    nodes: str = ""
    exit_code: int = 0
    signal: int = 0
    """By which it was killed; 0 = by none."""
    seconds: float = 0.0
    """How long it has run."""
    limit: float | None = None
    """How long it may run, seconds; None = as long as it likes, or not told."""
    memory: str = ""
    """What it may take, in Slurm's words, such as 4G."""

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in _ACTIVE

    @property
    def was_stopped_in_time(self) -> bool:
        """Whether it was asked to stop because its time was nearly over, and did."""
        if self.state != "FAILED" or self.exit_code != 130 or self.limit is None:
            return False
        return self.seconds >= self.limit - SIGNAL_LEAD_S - _SIGNAL_SLACK_S


def read_submission(run: RunDir) -> Submission | None:
    """The run's jobs; None where there are none.

    Raises:
        DamagedResultError: the file holds something else.
    """
    value = read_json(run.jobs)
    if value is None:
        return None
    try:
        found = require_types(Submission(**{**value, "stages": tuple(value["stages"])}))
        if not all(job.isdecimal() for job in found.jobs):  # they are handed to Slurm's commands
            raise ValueError("a job's number is wanted")
        return found
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedResultError(
            f"{run.jobs} does not name the run's Slurm jobs",
            "`squeue --me` shows yours; remove the file when none of them works in the run",
        ) from error


def write_job_states(run: RunDir, states: list[JobState]) -> None:
    """Keeps what Slurm has just said."""
    write_json(run.job_states, {"jobs": [asdict(state) for state in states]})


def read_job_states(run: RunDir) -> list[JobState]:
    """What Slurm said when it was last asked; nothing where it never was."""
    with suppress(KeyError, TypeError):
        value = read_object(run.job_states) or {}
        return [require_types(JobState(**state)) for state in value["jobs"]]
    return []


def seconds_since_look(run: RunDir) -> float:
    """How long ago Slurm was last asked for the run's jobs; infinite where it never was."""
    try:
        return max(0.0, time.time() - run.job_states.stat().st_mtime)
    except FileNotFoundError:
        return float("inf")


def stages_job(run: RunDir) -> tuple[Submission, JobState] | None:
    """The job that runs the stages, as last seen; one that nobody has looked at yet waits.

    Raises:
        DamagedResultError: it is not known which that is.
    """
    submission = read_submission(run)
    if submission is None:
        return None
    states = {state.job: state for state in read_job_states(run)}
    job = submission.stages_job
    return submission, states.get(job) or JobState(job, "PENDING")


def is_submitted(run: RunDir) -> bool:
    """Whether a job that runs stages waits or runs, as last seen."""
    with suppress(DamagedResultError):
        found = stages_job(run)
        return found is not None and found[1].is_active
    return False


def is_running_job(run: RunDir) -> bool:
    """Whether the job that runs the stages has begun and not ended, as last seen."""
    with suppress(DamagedResultError):
        found = stages_job(run)
        return found is not None and found[1].is_active and found[1].state != "PENDING"
    return False


def refuse_submitted(run: RunDir) -> None:
    """Refuses what would get in the way of a job.

    Raises:
        RunBusyError: a job that runs stages waits or runs.
    """
    found = stages_job(run)
    if found and found[1].is_active:
        hint = (
            f"`headwater status {run.name}` shows it, `headwater cancel {run.name}` takes it back"
        )
        where = "waits in Slurm's queue" if found[1].state == "PENDING" else "runs"
        raise RunBusyError(
            f"run {run.name} is submitted: Slurm job {found[1].job}, which {where}", hint
        )


def forget_jobs(run: RunDir) -> None:
    """Removes the record of jobs that are over, since other processes work in the run next."""
    run.jobs.unlink(missing_ok=True)
    run.job_states.unlink(missing_ok=True)
