"""The verbs that find damaged files of a run and put them away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from pipeline.contract.damage.repair import repair as put_away
from pipeline.contract.damage.verify import (
    Fault,
    StageCheck,
    Verification,
    bytes_to_read,
    verify_run,
)
from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.checksums import Told
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.units import size
from tui.printed.output import echo, echo_json
from tui.readers.clean import clean
from tui.runs_folder import find_run


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def verify(runs: Path, run: str, as_json: bool) -> None:
    """Compare every file of RUN with what its stage wrote; exit with 1 if one is damaged."""
    target = find_run(runs, run)
    found = _verified(target)
    stale = _out_of_date(target, found)
    if as_json:
        record = {"run": target.name, "stages": [_stage_record(check) for check in found.stages]}
        echo_json({**record, "out_of_date": stale, "damaged": [asdict(f) for f in found.faults]})
    else:
        echo("\n".join(_lines(target, found, stale)))
    sys.exit(1 if found.faults else 0)


@click.command()
@click.argument("run")
@click.pass_obj
def repair(runs: Path, run: str) -> None:
    """Put RUN's damaged files away, and say which stages to run again; nothing is deleted."""
    target = find_run(runs, run)
    found = _verified(target)
    if not found.faults:
        echo(f"run {target.name} is whole: there is nothing to repair", err=True)
        return
    for fault in found.faults:
        echo(_fault_line(fault), err=True)
    done = put_away(target, found)
    if done.folder:
        echo(f"put into {done.folder}: {', '.join(done.away)}", err=True)
    for fault in done.by_hand:
        hint = f"`headwater run all --settings FILE --run {target.name}` writes it anew"
        echo(f"{clean(fault.file)} was written by no stage: correct it, or {hint}", err=True)
    if done.again:
        echo(f"headwater run {' '.join(done.again)} --run {target.name}")
    sys.exit(1 if done.by_hand else 0)


def _verified(run: RunDir) -> Verification:
    with _progress(run) as (told, checked):
        return verify_run(run, told, checked)


@contextmanager
def _progress(run: RunDir) -> Iterator[tuple[Told, Callable[[StageCheck], object]]]:
    """A bar on a terminal, a line for every stage elsewhere; both on stderr."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda _: None, lambda check: echo(f"{check.stage}: {_amount(check)}", err=True)
        return
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(binary_units=True))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=bytes_to_read(run))
        yield lambda count: bar.advance(task, count), lambda _: None


def _lines(run: RunDir, found: Verification, stale: list[str]) -> Iterator[str]:
    for check in found.stages:
        own = sum(fault.stage == check.stage for fault in check.faults)
        state = f"{own} damaged" if own else "whole" if check.is_known else "can be read"
        yield f"{check.stage}: {_amount(check)}, {state}"
    if not found.stages:
        yield "no stage has finished yet"
    if any(not check.is_known for check in found.stages):
        yield "without checksums, as in runs of earlier versions, only the form can be checked"
    if stale:
        yield f"out of date with the settings and inputs of now: {', '.join(stale)}"
    yield from map(_fault_line, found.faults)
    if found.faults:
        yield f"`headwater repair {run.name}` puts these away and says what to run again"


def _amount(check: StageCheck) -> str:
    by = "" if check.is_known else ", no checksums"
    return f"{check.files:,} files, {size(check.bytes)}{by}"


def _fault_line(fault: Fault) -> str:
    by = f" ({fault.stage} wrote it)" if fault.stage else ""
    return f"{clean(fault.file)}: {clean(fault.what)}{by}"


def _stage_record(check: StageCheck) -> dict[str, object]:
    return {"stage": check.stage, "by": check.by, "files": check.files, "bytes": check.bytes}


def _out_of_date(run: RunDir, found: Verification) -> list[str]:
    """Finished stages whose settings or inputs have changed since; none where these are damaged."""
    try:
        now = RunFreshness(load_settings(run.settings), run)
        return [check.stage for check in found.stages if not now.is_fresh(check.stage)]
    except HeadwaterError:
        return []
