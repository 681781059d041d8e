"""What a job in Slurm means for its stage, and what a person can do, in plain words."""

from __future__ import annotations

from typing import Literal

from pipeline.contract.run.slurm_jobs import GONE, JobState
from pipeline.contract.units import duration

Ending = Literal["failed", "cancelled", "lost"]

_REASONS = {
    "Priority": "others come first",
    "Resources": "for nodes to become free",
    "Dependency": "for another job",
    "PartitionDown": "its partition is down",
    "PartitionTimeLimit": "it asks for more time than its partition gives",
    "PartitionNodeLimit": "it asks for more than its partition has",
    "ReqNodeNotAvail": "the nodes it needs are down or reserved",
    "BeginTime": "for the time it may begin at",
    "JobHeldUser": "it is held; `scontrol release` lets it go",
    "JobHeldAdmin": "the administrator holds it",
    "QOSMaxJobsPerUserLimit": "you have as many jobs running as you may",
    "AssocGrpGRES": "your account has as many GPUs as it may",
}


def waiting(job: JobState) -> str:
    """Says of a job that waits or comes up why its stage has not begun."""
    if job.state != "PENDING":
        return f"Slurm job {job.job} is {job.state.lower()}{_on(job)}"
    meaning = _REASONS.get(job.reason.partition(",")[0], "")
    told = ": ".join(filter(None, (job.reason, meaning)))
    return f"Slurm job {job.job} waits in the queue" + (f" ({told})" if told else "")


def ending(job: JobState, run: str) -> tuple[Ending, str] | None:
    """What has become of a stage that its job ended in: state and message; None where the job's
    end says no more than the stage itself did."""
    again = f"`headwater submit {run} --slurm` goes on from the last checkpoint or partition"
    which, limit = f"Slurm job {job.job}", f" of {duration(job.limit)}" if job.limit else ""
    if job.state == "TIMEOUT" or job.was_stopped_in_time:
        return "failed", (
            f"{which} reached its time limit{limit}{_on(job)}\n"
            f"{again}; with --time it gets longer, as far as the partition allows"
        )
    if job.state == "OUT_OF_MEMORY":
        had = f", more than its {job.memory}" if job.memory else ""
        return "failed", (
            f"{which} was killed for taking too much memory{had}{_on(job)}\n"
            f"submit again with a larger --mem, such as --mem 32G, or lower train.batch_tokens; "
            f"`headwater plan {run}` reckons what each stage takes"
        )
    match job.state:
        case "CANCELLED":
            return "cancelled", f"{which} was cancelled\n{again}"
        case "NODE_FAIL" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL":
            return "lost", f"{which} lost its node{_on(job)}: {job.state}\n{again}"
        case "PREEMPTED":
            return "lost", f"{which} had to give way to another job: PREEMPTED\n{again}"
        case "DEADLINE" | "REVOKED":
            return "lost", f"{which} was ended by Slurm: {job.state}\n{again}"
        case "FAILED" if job.signal:
            return "lost", (
                f"{which} was killed by signal {job.signal}{_on(job)}\n"
                f"its log in the run's folder, slurm/stages-{job.job}.log, may say why; {again}"
            )
        case state if state == GONE:
            return "lost", f"{which} is over, and Slurm no longer knows how it ended\n{again}"
    return None


def _on(job: JobState) -> str:
    return f" on {job.nodes}" if job.nodes else ""
