"""The verb that goes from answers to the training data: which rows stay, which go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.results.curation import Curation, CurationRequest
from pipeline.contract.run.new_run import clone_onto, refuse_clone_onto
from pipeline.contract.run.run_dir import RunDir, run_path
from pipeline.contract.settings.prompts import load_prompts
from tui.printed.output import echo, echo_json
from tui.processes.curator import Curator
from tui.runs_folder import find_run


@click.command()
@click.argument("run")
@click.option("--set", "set_", default="", metavar="NAME", help="The prompts of a set.")
@click.option(
    "--prompts",
    type=click.Path(exists=True, path_type=Path),
    help="The prompts whose ids a file names.",
)
@click.option("--prompt", "ids", multiple=True, metavar="ID", help="One prompt; may be repeated.")
@click.option(
    "--drop", type=click.IntRange(min=1), metavar="N", help="Drop the N rows with most influence."
)
@click.option(
    "--keep",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Keep this share of the rows, those with most influence, as 0.3.",
)
@click.option("--method", default="", help="Rank by this method.  [default: the run's]")
@click.option("--near-duplicates", is_flag=True, help="Drop near-duplicates of dropped rows too.")
@click.option("--out", required=True, metavar="FOLDER", help="A new folder for both parts.")
@click.option("--clone", metavar="NAME", help="Also make a run with the kept rows as its data.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def curate(
    runs: Path,
    run: str,
    set_: str,
    prompts: Path | None,
    ids: tuple[str, ...],
    drop: int | None,
    keep: float | None,
    method: str,
    near_duplicates: bool,
    out: str,
    clone: str | None,
    as_json: bool,
) -> None:
    """Sort RUN's training data by their influence on some prompts, and write what stays.

    FOLDER gets kept.jsonl, and dropped.jsonl with the reason for every row, both in the columns of
    the data. --drop takes out what taught unwanted answers; --keep selects data for wanted ones.
    """
    source = find_run(runs, run)
    if (drop is None) == (keep is None):
        raise UsageError("say how much goes or stays", "either --drop N or --keep SHARE")
    target = run_path(runs, clone) if clone else None
    if target:
        refuse_clone_onto(source, target)
    request = CurationRequest(
        run_folder=str(source.root),
        out=out,
        of_set=set_,
        prompts=_prompts(source, set_, prompts, ids),
        method=method,
        drop=drop,
        keep=keep,
        near_duplicates=near_duplicates,
    )
    made = Curator().make(request)
    if target:
        clone_onto(source, target, made.kept_file, made.held_out_file)
    if as_json:
        echo_json({**asdict(made), "clone": target.name if target else None})
    else:
        echo("\n".join(_told(made, target)))


def _prompts(run: RunDir, set_: str, file: Path | None, ids: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(bool, (set_, file, ids))) != 1:
        hint = "one of --set NAME, --prompts FILE and --prompt ID"
        raise UsageError("say which prompts the data are sorted by", hint)
    if file:
        return tuple(prompt.id for prompt in load_prompts(file, use_generated=True))
    return tuple(dict.fromkeys(ids))


def _held_out(made: Curation) -> str:
    """`, and 75 that it was not trained on`."""
    others = made.kept - (made.trained - made.dropped)
    return f", and {others:,} that it was not trained on" if others else ""


def _told(made: Curation, target: RunDir | None) -> Iterator[str]:
    yield (
        f"{made.dropped:,} of the {made.trained:,} rows that {made.run_name} was trained on go, "
        f"{made.trained - made.dropped:,} stay{_held_out(made)}: ranked for {made.ranked_for} by "
        f"{made.method}"
    )
    if made.left_out:
        yield f"without scores, and so left out: {', '.join(made.left_out)}"
    if made.unreadable:
        yield f"in neither part: {made.unreadable:,} rows that could not be read"
    yield f"kept     {made.kept_file}"
    yield f"dropped  {made.dropped_file}"
    if made.near_duplicates:
        yield f"alike    {made.near_duplicates_file}"
        yield (
            f"near-duplicates of what goes, which stay: {made.near_duplicates:,}; "
            "--near-duplicates drops them too"
        )
    if target:
        yield f"`headwater run all --run {target.name}` trains on what stays, then"
        yield f"`headwater compare {made.run_name} {target.name}` shows before and after"
