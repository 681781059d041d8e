"""The batch scripts of a run's jobs: plain files in its folder, for a person to read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.contract.children import python_command
from pipeline.contract.errors import UsageError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import SIGNAL_LEAD_S

_ENVIRONMENT = "export PYTHONSAFEPATH=1"
_LOOK_S = 30
"""Seconds between two looks of a worker at whether the stages' job is still there."""
_WORKER = """\
{worker} &
worker=$!
trap 'kill -TERM $worker' TERM
# it ends with the work, or with the job of the stages, however that ends
while sleep {look}; do
    stages=$(squeue --noheader --jobs={job} --format=%T 2>&1)
    case "$stages" in
        "" | *"Invalid job id"* | PENDING) kill -TERM $worker; break ;;
    esac
done &
wait $worker
code=$?
kill $! 2>/dev/null
exit $((code == 143 ? 0 : code))
"""


@dataclass(frozen=True)
class Wishes:
    """What each job asks Slurm for; empty = what the cluster gives."""

    partition: str = ""
    time: str = ""
    """As sbatch takes it: minutes, or [days-]hours:minutes:seconds."""
    gpus: str = ""
    """For each of the jobs' single tasks: a number, or kind:number."""
    cpus: int = 0
    memory: str = ""
    further: tuple[str, ...] = ()
    """Options of sbatch, as they are typed."""

    def options(self) -> Iterator[tuple[str, ...]]:
        """Options of sbatch, each as the words that belong together."""
        named = {
            "partition": self.partition,
            "time": self.time,
            "gpus-per-task": self.gpus,
            "cpus-per-task": str(self.cpus or ""),
            "mem": self.memory,
        }
        yield from ((f"--{name}={value}",) for name, value in named.items() if value)
        if self.further:
            yield self.further


def stages_script(run: RunDir, stages: Sequence[str], wishes: Wishes) -> str:
    """The script of the job that runs the stages.

    The supervisor takes the shell's place, so that Slurm's signal before the time limit reaches it;
    after a node's failure or preemption the job is queued again, and goes on with what is left.
    """
    root = str(run.root.resolve())
    command = python_command("-m", "pipeline.supervisor", root, *stages)
    options = (f"--signal=B:TERM@{SIGNAL_LEAD_S}",)
    return _script(run, "stages", "%j", options, wishes, f"exec {shlex.join(command)}\n")


def workers_script(run: RunDir, workers: int, stages_job: str, wishes: Wishes) -> str:
    """The script of the array of workers, none of which begins before the job of the stages."""
    root = run.root.resolve()
    command = python_command("-m", "tui", "--runs", str(root.parent), "work", root.name)
    body = _WORKER.format(worker=shlex.join(command), look=_LOOK_S, job=stages_job)
    options = (
        f"--array=0-{workers - 1}",
        f"--dependency=after:{stages_job}",
        "--kill-on-invalid-dep=yes",
    )
    return _script(run, "workers", "%A_%a", options, wishes, body)


def _script(
    run: RunDir, kind: str, log: str, options: Sequence[str], wishes: Wishes, body: str
) -> str:
    root = run.root.resolve()
    folder = str(run.slurm.resolve()).replace("%", "%%")
    every = [
        (f"--job-name=headwater-{kind}-{root.name}",),
        (f"--chdir={root}",),
        (f"--output={folder}/{kind}-{log}.log",),
        ("--open-mode=append",),
        ("--requeue",),
        ("--ntasks=1",),
        *((option,) for option in options),
        *wishes.options(),
    ]
    directives = [f"#SBATCH {shlex.join(words)}" for words in every]
    if any(not line.isprintable() for line in directives):
        raise UsageError("an option or the run's path holds a line break or the like")
    return "\n".join(["#!/bin/bash", *directives, "", _ENVIRONMENT, body])
