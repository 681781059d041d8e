"""The verb that proves which examples taught an answer."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.results.proofs import STAGE, load_proofs
from pipeline.contract.run.proving import SEEDS, write_claim
from pipeline.contract.run.run_dir import RunDir
from tui.printed import narration
from tui.printed.output import echo, echo_json
from tui.printed.proofs import proof_text
from tui.processes.launcher import start_stages
from tui.readers.clean import clean
from tui.runs_folder import find_run

TOP = 5
"""First examples that are proven where a person names none."""


@click.command()
@click.argument("run")
@click.option("--prompt", "prompt_id", help="Id of the prompt.")
@click.option("--set", "set_", help="A set of prompts in its place: their mean ln p.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help=f"So many first examples of its ranking.  [default: {TOP}]",
)
@click.option("--opponents", is_flag=True, help="The last examples instead of the first ones.")
@click.option(
    "--examples",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The examples whose ids stand in a file, one a line.",
)
@click.option("--source", help="All examples from this file or dataset.")
@click.option("--group", type=int, help="All near-duplicates that share this number.")
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=SEEDS,
    show_default=True,
    help="Trainings of each kind, each with the examples in another order.",
)
@click.option("--step", is_flag=True, help="One step on each example instead of trainings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def prove(
    runs: Path,
    run: str,
    prompt_id: str | None,
    set_: str | None,
    top: int | None,
    opponents: bool,
    listed: Path | None,
    source: str | None,
    group: int | None,
    seeds: int,
    step: bool,
    as_json: bool,
) -> None:
    """Train RUN's model again without some examples: does its answer to a prompt change?

    Beside them as many random examples are left out, and as many of the same length and gradient
    size. Without --examples, --source or --group: the first of the prompt's ranking.
    """
    from pipeline.contract.results.claims import Claims  # NumPy: other verbs do not wait for it

    target = find_run(runs, run)
    about = _about(prompt_id, set_)
    others = [name for name in (listed, source, group) if name is not None]
    if len(others) > 1 or (others and (opponents or top is not None)):
        raise UsageError(
            "--top with or without --opponents, --examples, --source and --group each say which "
            "examples are proven: give one of them"
        )
    claims = Claims(target)
    if listed is not None:
        marked, origin = claims.listed(listed), f"the examples in {listed.name}"
    elif source is not None:
        marked, origin = claims.of_source(source), f"all of {source}"
    elif group is not None:
        marked, origin = claims.of_group(group), f"near-duplicates of group {group}"
    else:
        count = top or TOP
        marked = claims.first(about, count, opponents)
        origin = claims.first_told(count, opponents)
    claim = claims.claim(about, marked, origin, seeds, step)
    write_claim(target, claim)
    echo(f"proving {clean(origin)}: {claims.cost(claim)}", err=True)
    _bring_up_to_date(target)
    found = next(
        one.value for one in load_proofs(target, about) if one.value.claim.examples
        == claim.examples and one.value.claim.by_steps == step
    )  # fmt: skip
    if as_json:
        echo_json(found.record())
    else:
        echo(proof_text(found))


def _about(prompt_id: str | None, set_: str | None) -> str:
    """What is proven: a prompt's id, or the row of a set."""
    from pipeline.contract.results.sets import set_row

    if prompt_id is not None and set_ is None:
        return prompt_id
    if set_ is not None and prompt_id is None:
        return set_row(set_)
    raise UsageError("--prompt ID or --set NAME says whose answer is proven: give one of them")


def _bring_up_to_date(target: RunDir) -> None:
    events = narration.from_now(target)
    start_stages(target, (STAGE,))
    if code := narration.follow(target, events):
        sys.exit(code)
