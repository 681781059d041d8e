"""Slurm's own commands: jobs are submitted, asked for and cancelled by them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from pipeline.contract.errors import (
    HeadwaterError,
    RetryableError,
    UsageError,
    disk_errors_explained,
)
from pipeline.contract.files import write_text
from pipeline.contract.run.processes import is_locked, request_cancel
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import (
    GONE,
    JobState,
    Submission,
    is_running_job,
    is_submitted,
    read_job_states,
    read_submission,
    seconds_since_look,
    write_job_states,
)
from tui.processes.slurm_scripts import Wishes, stages_script, workers_script
from tui.processes.slurm_states import ended_for_memory, parse_sacct, parse_scontrol

LOOK_S = 10.0
"""Seconds between two questions to Slurm's controller, which answers for the whole cluster."""
_BETWEEN_S = 1.0
"""The same while a job runs and nothing of it is at work."""
_TIMEOUT_S = 60.0
_UNREACHABLE = (
    "Unable to contact slurm controller",
    "Unable to process configuration file",
    "Could not establish a configuration source",
)
_UNKNOWN_JOB = "Invalid job id specified"


def submit(run: RunDir, stages: Sequence[str], workers: int, wishes: Wishes) -> Submission:
    """Submits a job that runs the stages, and an array of `workers` that help from its start on.

    Raises:
        UsageError: there is no Slurm here, or it refuses a job; says which and why.
        RetryableError: its controller cannot be reached.
    """
    require_slurm()
    with disk_errors_explained(run.root):
        run.slurm.mkdir(exist_ok=True)
        job = _sbatch(run, "stages.sh", stages_script(run, stages, wishes), wishes)
        helpers = ""
        if workers:
            text = workers_script(run, workers, job, wishes)
            try:
                helpers = _sbatch(run, "workers.sh", text, wishes)
            except HeadwaterError:
                _call("scancel", job)
                raise
        submission = Submission(job, tuple(stages), helpers, workers, time.time())
        submission.write(run)
    return submission


def require_slurm() -> None:
    """Checks that Slurm's commands are here.

    Raises:
        UsageError: they are not.
    """
    if not shutil.which("sbatch"):
        hint = (
            "run it on a machine from which jobs are submitted, such as the cluster's login node; "
            "without a cluster, `headwater run` works on this machine"
        )
        raise UsageError("there is no Slurm here: no command sbatch", hint)


def look(run: RunDir) -> None:
    """Asks Slurm what the run's jobs are at, and keeps that with the run.

    Raises:
        UsageError: there is no Slurm here.
        RetryableError: its controller cannot be reached.
    """
    submission = read_submission(run)
    if submission is None or _are_over(run, submission):
        return
    require_slurm()
    states = [state for job in submission.jobs for state in _ask(job)]
    with disk_errors_explained(run.root):
        write_job_states(run, [ended_for_memory(state, run) for state in states])


def look_now_and_then(run: RunDir, every_s: float = LOOK_S) -> None:
    """As `look`, if that was long ago; a Slurm that does not answer is asked again next time."""
    if seconds_since_look(run) > every_s:
        with suppress(HeadwaterError):
            look(run)


def is_under_way(run: RunDir, every_s: float = LOOK_S) -> bool:
    """Whether something works in the run, or a job of it waits; Slurm is asked now and then."""
    look_now_and_then(run, every_s)
    if is_locked(run):
        return True
    if is_running_job(run):  # it is about to begin or to end
        look_now_and_then(run, _BETWEEN_S)
    return is_submitted(run)


def stop(run: RunDir) -> bool:
    """Asks whatever works in the run to stop, and takes its jobs back. False: there is neither.

    Raises:
        UsageError: the run is somebody else's, or there are jobs but no Slurm here.
        RetryableError: Slurm's controller cannot be reached.
    """
    asked = request_cancel(run)
    look(run)
    active = {state.job.partition("_")[0] for state in read_job_states(run) if state.is_active}
    if active:
        _told(_call("scancel", *sorted(active)))
        look(run)
    return asked or bool(active)


def _are_over(run: RunDir, submission: Submission) -> bool:
    """Whether nothing can come of asking again."""
    states = read_job_states(run)
    known = {state.job.partition("_")[0] for state in states}
    return known >= set(submission.jobs) and not any(state.is_active for state in states)


def _ask(job: str) -> list[JobState]:
    answer = _call("scontrol", "show", "job", "--oneliner", job)
    if answer.returncode == 0:
        return parse_scontrol(answer.stdout)
    if _UNKNOWN_JOB not in answer.stderr:
        _told(answer)
    fields = "JobID,State,ExitCode,ElapsedRaw,TimelimitRaw,NodeList,ReqMem,Reason"
    answer = _call("sacct", "--noheader", "--parsable2", "-X", "--jobs", job, f"--format={fields}")
    # without accounting there is no memory of it
    return parse_sacct(answer.stdout) or [JobState(job, GONE)]


def _sbatch(run: RunDir, name: str, script: str, wishes: Wishes) -> str:
    """The number of the job that a script was submitted as."""
    path = run.slurm / name
    write_text(path, script)
    answer = _call("sbatch", "--parsable", str(path))
    job = answer.stdout.strip().partition(";")[0]
    if answer.returncode == 0 and job.isdecimal():
        return job
    if "partition" in answer.stderr.lower() and "nvalid partition" in answer.stderr:
        raise UsageError(f"Slurm has no partition {wishes.partition or 'here'}", _partitions())
    _told(answer, path.name)
    raise UsageError(f"sbatch gave no job's number: {answer.stdout.strip() or 'nothing'}")


def _partitions() -> str:
    answer = _call("sinfo", "--noheader", "--format=%R %a %l %G")
    rows = [row.split(maxsplit=3) for row in answer.stdout.splitlines()]
    told = [
        f"{name} ({'' if up == 'up' else up + ', '}up to {limit}"
        f"{'' if gres == '(null)' else ', ' + gres})"
        for name, up, limit, gres in (row for row in rows if len(row) == 4)
    ]
    return f"partitions: {', '.join(dict.fromkeys(told)) or 'none'}"


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no command {command[0]}", "Slurm is installed in part only"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise _unreachable(command[0], f"no answer in {_TIMEOUT_S:.0f} s") from error


def _told(answer: subprocess.CompletedProcess[str], what: str = "") -> None:
    """Turns what a command of Slurm's complains of into one message."""
    if answer.returncode == 0:
        return
    command = answer.args[0]
    lines = [line.partition("error: ")[2] or line for line in answer.stderr.strip().splitlines()]
    said = "; ".join(lines) or f"exit code {answer.returncode}"
    if any(sign in said for sign in _UNREACHABLE):
        raise _unreachable(command, lines[-1])
    hint = "`sinfo` shows partitions and nodes; `man sbatch` the options"
    raise UsageError(f"Slurm refuses {what or command}: {said}", hint)


def _unreachable(command: str, said: str) -> RetryableError:
    hint = "`scontrol ping` asks it again; whoever runs the cluster knows whether it is down"
    return RetryableError(f"{command} does not reach Slurm's controller: {said}", hint)
