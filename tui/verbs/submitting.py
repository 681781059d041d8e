"""The verb that hands stages to a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.files import read_text
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import run_path
from pipeline.contract.run.stages import expand, require_stages
from pipeline.contract.run.status import left_over, run_status
from pipeline.contract.run.workers import SHARED_STAGES
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from tui.printed.output import echo, echo_data
from tui.processes import slurm
from tui.processes.launcher import refuse_busy
from tui.processes.slurm_scripts import Wishes
from tui.readers.mounts import local_filesystem
from tui.runs_folder import find_run


@click.command()
@click.argument("run")
@click.argument("stages", nargs=-1)
@click.option("--slurm", "to_slurm", is_flag=True, required=True, help="To Slurm.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings to run with; without it the run's own are kept.",
)
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Further jobs that help with factors and scores.",
)
@click.option("--partition", default="", help="As `sinfo` lists them.  [default: the cluster's]")
@click.option("--time", default="", help="Limit of each job: minutes, h:mm:ss, or d-hh:mm:ss.")
@click.option("--gpus-per-task", "gpus", default="", help="GPUs of each job: a number, or KIND:N.")
@click.option("--cpus-per-task", "cpus", type=click.IntRange(1), help="Cores of each job.")
@click.option("--mem", "memory", default="", help="Memory of each job, such as 32G.")
@click.pass_obj
def submit(
    runs: Path,
    run: str,
    stages: tuple[str, ...],
    to_slurm: bool,
    settings_file: Path | None,
    workers: int,
    partition: str,
    time: str,
    gpus: str,
    cpus: int | None,
    memory: str,
) -> None:
    """Submit STAGES of RUN to a cluster: one job that runs them, and WORKERS that help.

    Without STAGES: what is left to do, or all. What stands after -- goes to sbatch as it is:
    `headwater submit books --slurm -- --account=lab`. Prints the numbers of the jobs.
    """
    assert to_slurm
    slurm.require_slurm()
    named = tuple(takewhile(lambda word: not word.startswith("-"), stages))
    wishes = Wishes(partition, time, gpus, cpus or 0, memory, further=stages[len(named) :])
    require_stages(named)
    if settings_file:
        target = run_path(runs, run)
        slurm.look_now_and_then(target, every_s=0.0)
        write_run(target, read_text(settings_file), origin=settings_file)
    else:
        target = find_run(runs, run)
    settings = load_settings(target.settings)
    refuse_busy(target)
    left = left_over(run_status(target, settings))
    chosen = expand(named, settings) if named else left or expand(("all",), settings)
    now = RunFreshness(settings, target)
    if all(map(now.is_fresh, chosen)):
        echo(f"up to date: {', '.join(chosen)}; nothing is submitted", err=True)
        return
    for warning in (*_of_workers(workers, chosen, settings), *_of_place(target.root)):
        echo(f"warning: {warning}", err=True)
    submission = slurm.submit(target, chosen, workers, wishes)
    echo(f"submitted: job {submission.stages_job} runs {', '.join(chosen)}", err=True)
    if workers:
        echo(f"job {submission.workers_job} helps with {workers} workers", err=True)
    echo(f"`headwater status {target.name}` shows them, `headwater wait` waits", err=True)
    echo_data("".join(f"{job}\n" for job in submission.jobs))


def _of_workers(workers: int, stages: tuple[str, ...], settings: Settings) -> Iterator[str]:
    """What to say of workers that have nothing to do for a while.

    Raises:
        UsageError: they would have nothing to do at all.
    """
    if not workers:
        return
    shared = [stage for stage in SHARED_STAGES if stage in stages]
    if not shared:
        named = ", ".join(SHARED_STAGES)
        raise UsageError(f"workers help with {named}, and none of them is to run")
    parts = {
        name: count
        for stage in shared
        if stage in _PASSES
        for name, count in _parts(stage, settings).items()
    }
    wanted = {name: count for name, count in parts.items() if count < workers + 1}
    told = " and ".join(f"{name} = {count}" for name, count in wanted.items())
    hint = "several times as many as there are workers let all of them help, 16, say"
    if all(count == 1 for count in parts.values()) and all(stage in _PASSES for stage in shared):
        raise UsageError(f"{workers} workers would have nothing to do: {told}", hint)
    if wanted:
        yield f"{workers} workers and the stages' own process, but {told}: {hint}"


_PASSES = {"factors": ("covariance_", "lambda_"), "scores": ("",)}
"""Stages whose parts are a matter of settings, and the beginnings of these settings' names."""


def _parts(stage: str, settings: Settings) -> dict[str, int]:
    """Partitions of each pass of a stage, by the setting that gives most of them."""
    section = getattr(settings, stage)
    return {
        f"{stage}.{name}data_partitions": getattr(section, f"{name}data_partitions")
        * getattr(section, f"{name}module_partitions")
        for name in _PASSES[stage]
    }


def _of_place(folder: Path) -> Iterator[str]:
    if kind := local_filesystem(folder):
        yield (
            f"{folder} lies on a filesystem of this machine ({kind}), which the cluster's nodes "
            "may not see: keep the runs in a folder that all of them share, with --runs DIR"
        )
