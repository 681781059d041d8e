"""The verbs that start stages, stop them and wait for them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.files import read_text
from pipeline.contract.run.events import EventReader
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.new_run import change_settings, tracing_answers, write_run
from pipeline.contract.run.processes import busy, is_locked
from pipeline.contract.run.run_dir import RunDir, run_path
from pipeline.contract.run.slurm_jobs import read_submission
from pipeline.contract.run.stages import GROUPS, expand, require_stages
from pipeline.contract.run.status import left_over, run_status
from pipeline.contract.settings.demo import (
    HIGHEST_SEED,
    chat_base_settings,
    chat_settings,
    demo_settings,
)
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings
from tui.dashboard import has_terminal, open_dashboard
from tui.printed import narration, tables
from tui.printed.output import echo
from tui.processes.launcher import start_stages
from tui.processes.slurm import is_under_way, look_now_and_then, stop
from tui.processes.worker import help_stage, offers
from tui.runs_folder import find_run

PATIENCE_S = 60.0
"""How long a cancelled run is waited for: a stage that does not end is killed after half of it."""


@click.command()
@click.option("--run", "name", help="Name of the run.  [default: demo, or demo-chat]")
@click.option("--seed", type=click.IntRange(0, HIGHEST_SEED), default=0, show_default=True)
@click.option(
    "--chat",
    is_flag=True,
    help="Facts in conversations, learnt by an adapter (LoRA) on a base that is trained first.",
)
@click.option("--no-tui", is_flag=True, help="Print instead of opening the dashboard.")
@click.pass_obj
def demo(runs: Path, name: str | None, seed: int, chat: bool, no_tui: bool) -> None:
    """Train a small model on planted facts and find where it learnt them."""
    run = run_path(runs, name or ("demo-chat" if chat else "demo"))
    if not is_locked(run):
        base = run_path(runs, f"{run.name}-base")
        settings = _on_trained(base, seed) if chat else demo_settings(seed)
        write_run(run, render_settings(settings), origin=run.settings)
        start_stages(run, GROUPS["all"])
    if has_terminal() and not no_tui:
        open_dashboard(runs, run)
        return
    code = narration.follow(run, EventReader(run.events))
    if code == 0:
        echo(tables.demo_summary(run))
    sys.exit(code)


def _on_trained(base: RunDir, seed: int) -> Settings:
    """Settings that go on from a base, a run that is trained here; exits if that fails."""
    if not is_locked(base):
        write_run(base, render_settings(chat_base_settings(seed)), origin=base.settings)
        start_stages(base, ("prepare", "train"))
    echo(f"first the base, run {base.name}", err=True)
    if code := narration.follow(base, EventReader(base.events)):
        sys.exit(code)
    echo("now the adapter on it", err=True)
    return chat_settings(seed, base.model)


@click.command()
@click.argument("stages", nargs=-1, required=True)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings to run with; without it the run's own are kept.",
)
@click.option("--run", "name", help="Name of the run.  [default: the settings' folder]")
@click.option("--use-generated", is_flag=True, help="Trace the model's own greedy answers.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["custom", "deepeval", "all"]),
    help="What `evaluate` runs: answers to the prompts, benchmarks, or both.",
)
@click.option("--force", is_flag=True, help="Run the named stages even where they are up to date.")
@click.option("--detach", is_flag=True, help="Return at once; the stages go on.")
@click.pass_obj
def run(
    runs: Path,
    stages: tuple[str, ...],
    settings_file: Path | None,
    name: str | None,
    use_generated: bool,
    kind: str | None,
    force: bool,
    detach: bool,
) -> None:
    """Run STAGES: all, analysis, custom-eval, deepeval-eval, or any single ones.

    The single ones: prepare, train, factors, scores, inspect, generate, evaluate, benchmark,
    report.
    """
    wanted = _evaluations(stages, kind)
    require_stages(wanted)
    name = name or (settings_file.resolve().parent.name if settings_file else None)
    if name is None:
        raise UsageError("name the run with --run, or give --settings", _HOW_TO_NAME)
    target = run_path(runs, name)
    look_now_and_then(target, every_s=0.0)
    if settings_file:
        chosen = expand(wanted, load_settings(settings_file))
        text = read_text(settings_file)
        write_run(target, tracing_answers(text) if use_generated else text, origin=settings_file)
    else:
        target = find_run(runs, name)
        chosen = expand(wanted, load_settings(target.settings))
        if use_generated:
            text = read_text(target.settings)
            change_settings(target, tracing_answers(text))
    _start_and_follow(target, chosen, detach, force)


@click.command()
@click.argument("run")
@click.option("--detach", is_flag=True, help="Return at once; the stages go on.")
@click.pass_obj
def resume(runs: Path, run: str, detach: bool) -> None:
    """Finish what was asked for in RUN, from the last checkpoint or partition on."""
    target = find_run(runs, run)
    settings = load_settings(target.settings)
    left = left_over(run_status(target, settings))
    if not left:
        echo(f"run {target.name} has finished all that was asked for", err=True)
        return
    _start_and_follow(target, left, detach)


@click.command()
@click.argument("run")
@click.pass_obj
def cancel(runs: Path, run: str) -> None:
    """Stop what works in RUN, here or in Slurm; what is finished stays. A second time: kill it."""
    target = find_run(runs, run)
    if not stop(target):
        echo(f"nothing is running in {target.name}", err=True)
        return
    deadline = time.monotonic() + PATIENCE_S
    while is_under_way(target, every_s=1.0):
        if time.monotonic() > deadline:
            raise busy(target)
        time.sleep(0.1)
    again = f"`headwater resume {target.name}`"
    if read_submission(target):
        again = f"`headwater submit {target.name} --slurm`, or {again} on this machine,"
    echo(f"stopped; {again} goes on", err=True)


@click.command()
@click.argument("run")
@click.pass_obj
def wait(runs: Path, run: str) -> None:
    """Wait until nothing runs in RUN; exit as its stages did."""
    target = find_run(runs, run)
    sys.exit(narration.follow(target, narration.from_now(target)))


@click.command()
@click.argument("run")
@click.pass_obj
def work(runs: Path, run: str) -> None:
    """Help with the work of RUN, also from another machine, until factors and scores are done, and
    the benchmark, index, validate and prove that were asked for.

    A worker does parts that no other has taken. Any number may come and go at any time.
    """
    target = find_run(runs, run)
    told = ""
    for found in offers(target):
        now = f"helping with {found[0]}" if found else "waiting for a stage to help with"
        if now != told:
            echo(f"{now} of {target.name}; Ctrl-C ends", err=True)
            told = now
        if found and (code := help_stage(found[0], target)):
            sys.exit(code)
    echo(f"nothing of {target.name} is left to help with", err=True)


_HOW_TO_NAME = (
    "a new run: `headwater run all --settings settings.toml --run NAME`; `headwater runs` lists "
    "those there are"
)


def _evaluations(stages: tuple[str, ...], kind: str | None) -> tuple[str, ...]:
    """The stages with `evaluate` replaced by what `--type` says it is.

    Raises:
        UsageError: `--type` without `evaluate`.
    """
    if kind is None:
        return stages
    if "evaluate" not in stages:
        raise UsageError("--type says what `evaluate` runs: `headwater run evaluate --type all`")
    types = {"custom": ("custom-eval",), "deepeval": ("deepeval-eval",)}
    meant = types.get(kind, ("custom-eval", "deepeval-eval"))
    return tuple(name for name in stages if name != "evaluate") + meant


def _start_and_follow(
    run: RunDir, stages: tuple[str, ...], detach: bool, force: bool = False
) -> None:
    events = narration.from_now(run)
    if not force:
        now = RunFreshness(load_settings(run.settings), run)
        if kept := [stage for stage in stages if now.is_fresh(stage)]:
            echo(f"up to date: {', '.join(kept)}", err=True)
    start_stages(run, stages, again=stages if force else ())
    if detach:
        echo(f"running; `headwater tui {run.name}` watches, `headwater wait` waits", err=True)
        return
    sys.exit(narration.follow(run, events))
