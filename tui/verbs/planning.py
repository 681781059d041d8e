"""The verb that says what a run will take before it is run."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.results.plan import PlanRequest
from tui.printed.output import echo, echo_json
from tui.printed.plan import plan_text
from tui.processes.planner import make_plan
from tui.runs_folder import find_run

_UNITS = {"gib": 2**30, "gb": 10**9, "mib": 2**20, "mb": 10**6}


class _Bytes(click.ParamType[int]):
    """An amount of memory: "24GiB"."""

    name = "size"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", value.lower())
        if not found or found[2] not in _UNITS:
            self.fail(f"{value!r}: write a number and GiB, GB, MiB or MB, as in 24GiB", param, ctx)
        return int(float(found[1]) * _UNITS[found[2]])


@click.command()
@click.argument("target", metavar="SETTINGS|RUN")
@click.option(
    "--gpu",
    default="",
    help="A card by its name, as A100-80GB, or several, as 4xA100-80GB.  [default: what is here]",
)
@click.option("--memory", type=_Bytes(), help="A GPU of so much memory, as 24GiB.")
@click.option("--examples", type=click.IntRange(min=1), help="Training examples.")
@click.option("--prompts", type=click.IntRange(min=1), help="Prompts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def plan(
    runs: Path,
    target: str,
    gpu: str,
    memory: int | None,
    examples: int | None,
    prompts: int | None,
    as_json: bool,
) -> None:
    """Say what a run will take: memory, passes over the data, time and disk; and what to change.

    Counts are those of RUN's corpus, or what SETTINGS let expect; --examples and --prompts say
    otherwise.
    """
    if gpu and memory:
        raise UsageError("--gpu and --memory exclude each other", "leave one out")
    found = make_plan(
        PlanRequest(
            **_named(runs, target),
            gpu=gpu,
            gpu_bytes=memory or 0,
            examples=examples or 0,
            prompts=prompts or 0,
        )
    )
    if as_json:
        echo_json(asdict(found))
    else:
        echo(plan_text(found))


def _named(runs: Path, target: str) -> dict[str, str]:
    """A file of settings, or else a run."""
    if target.endswith(".toml") or Path(target).is_file():
        return {"settings_file": target}
    return {"run": str(find_run(runs, target).root)}
