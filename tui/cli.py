"""The command line `headwater …`.

stdout is data, stderr is narration. Exit codes: 0 ok, 1 the stage failed, 2 usage or
settings, 3 could be tried again, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.contract.errors import HeadwaterError
from tui.dashboard import open_dashboard
from tui.printed.output import echo
from tui.runs_folder import RUNS, RUNS_VARIABLE
from tui.verbs import (
    asking,
    curating,
    damage,
    opening,
    planning,
    proving,
    questions,
    reading,
    remarks,
    running,
    submitting,
    tracing,
)


class Verbs(click.Group):
    """A command group that ends on a HeadwaterError with its message and its exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Runs the verb."""
        try:
            return super().invoke(ctx)
        except HeadwaterError as error:
            echo(f"headwater: {error}", err=True)
            ctx.exit(error.exit_code)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our stdout has gone, as `| head` does
            ctx.exit(0)


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"max_content_width": 96})
@click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(RUNS),
    envvar=RUNS_VARIABLE,
    show_default=True,
    help="Folder that holds the runs.",
)
@click.version_option(package_name="headwater")
@click.pass_context
def main(ctx: click.Context, runs: Path) -> None:
    """Find where a language model's words come from.

    Without a verb: the dashboard.
    """
    ctx.obj = runs
    if ctx.invoked_subcommand is None:
        open_dashboard(runs, None)


for verb in (
    opening.tui,
    opening.init,
    planning.plan,
    running.demo,
    running.run,
    running.resume,
    running.cancel,
    running.wait,
    running.work,
    submitting.submit,
    reading.status,
    reading.runs_,
    remarks.tag,
    remarks.note,
    reading.logs,
    reading.inspect,
    reading.rank,
    reading.report,
    reading.validate,
    proving.prove,
    asking.ask,
    asking.index,
    tracing.trace,
    questions.questions,
    curating.curate,
    reading.compare,
    damage.verify,
    damage.repair,
    opening.doctor,
    opening.serve,
    opening.keys_,
):
    main.add_command(verb)
