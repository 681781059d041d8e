"""The verbs that print what a run holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.results.proofs import load_proofs
from pipeline.contract.results.rankings import End
from pipeline.contract.results.report import read_report
from pipeline.contract.results.validation import read_validation
from pipeline.contract.run.processes import is_locked
from pipeline.contract.run.run_dir import RunDir, list_runs
from pipeline.contract.run.slurm_jobs import read_job_states
from pipeline.contract.run.stages import STAGES
from pipeline.contract.run.status import run_status
from pipeline.contract.settings.loading import load_settings
from tui.printed import narration, rankings, tables, validation
from tui.printed.comparison import comparison_text, completions_record, result_rows, settings_rows
from tui.printed.jobs import jobs_text
from tui.printed.output import at_terminal, echo, echo_data, echo_json
from tui.printed.proofs import verdict_lines
from tui.printed.workers import worker_records, workers_text
from tui.processes.browser import open_page
from tui.processes.slurm import look
from tui.readers.clean import clean_lines
from tui.readers.comparison import cautions
from tui.readers.run_filter import EXAMPLE, parse
from tui.runs_folder import find_run


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def status(runs: Path, run: str, as_json: bool) -> None:
    """Show what has become of each stage of RUN, which workers share one, and its Slurm jobs."""
    target = find_run(runs, run)
    try:
        look(target)
    except HeadwaterError as error:
        echo(f"Slurm's jobs as last seen: {error.message}", err=True)
    stages = run_status(target, load_settings(target.settings))
    if as_json:
        record = {"run": target.name, "working": is_locked(target)}
        shown = {"stages": [asdict(stage) for stage in stages], "workers": worker_records(target)}
        jobs = [asdict(state) for state in read_job_states(target)]
        echo_json({**record, **shown, "jobs": jobs})
    else:
        echo(tables.status(stages))
        for told in filter(None, (workers_text(target), jobs_text(target))):
            echo(f"\n{told}")


@click.command(name="runs")
@click.option("--filter", "terms", default="", help=f"Only some: '{EXAMPLE}'.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def runs_(runs: Path, terms: str, as_json: bool) -> None:
    """List the runs: how they stand, their figures, tags and notes."""
    rows = tables.run_rows(list_runs(runs), parse(terms))
    if as_json:
        echo_json(rows)
    else:
        echo(tables.runs_text(rows))


@click.command()
@click.argument("run")
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on printing until nothing runs.")
@click.pass_obj
def logs(runs: Path, run: str, stage: str | None, follow: bool) -> None:
    """Print what the stages of RUN wrote to their logs, or STAGE alone."""
    target = find_run(runs, run)
    for text in tables.log_text(target, (stage,) if stage else tuple(STAGES), follow):
        echo_data(text)


@click.command()
@click.argument("run")
@click.option("--layer", type=int, help="Decoder layer.  [default: the last one]")
@click.pass_obj
def inspect(runs: Path, run: str, layer: int | None) -> None:
    """Print the spectra of one layer's factors, and where its pictures lie."""
    echo(tables.layer_report(find_run(runs, run), layer))


@click.command()
@click.argument("run")
@click.option("--prompt", "prompt_id", help="Id of the prompt.  [default: all prompts]")
@click.option("--set", "set_name", help="A set of prompts as one query, in place of a prompt.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--bottom", is_flag=True, help="The least influential examples instead.")
@click.option("--method", help="Ranking to show.  [default: the run's own]")
@click.option("--json", "as_format", flag_value="json", help="JSON, one array.")
@click.option("--csv", "as_format", flag_value="csv", help="CSV with a header.")
@click.option(
    "--controls",
    "only_controls",
    is_flag=True,
    help="How far the prompt's ranking follows gradient size alone, and another prompt's ranking.",
)
@click.pass_obj
def rank(
    runs: Path,
    run: str,
    prompt_id: str | None,
    set_name: str | None,
    top: int,
    bottom: bool,
    method: str | None,
    as_format: str | None,
    only_controls: bool,
) -> None:
    """Print the training examples that RUN ranks highest for a prompt, or a set of prompts.

    A raw score divided by the number of examples is by how many nats the prompt's loss falls, to
    first order, if the example counted once more in training.
    """
    target = find_run(runs, run)
    if set_name is not None and (prompt_id is not None or only_controls):
        raise UsageError("--set stands alone", "leave --prompt and --controls out")
    if only_controls:
        _print_controls(target, prompt_id, method, as_format)
        return
    end: End = "bottom" if bottom else "top"
    if set_name is not None:
        heading, of_set = rankings.set_rows(target, set_name, method, end, top)
        _print_rows([row.record() for row in of_set], as_format, rankings.set_text(heading, of_set))
        return
    rows = tables.ranking(target, prompt_id, method, end, top)
    if as_format:
        _print_rows(rankings.ranking_records(target, rows), as_format, "")
    else:
        echo(rankings.ranking_text(target, rows), end="")
        if prompt_id is not None and rows:
            echo("\n" + tables.controls_text(tables.controls(target, prompt_id, method)), end="")
            for line in verdict_lines(load_proofs(target, prompt_id)):
                echo(line)


def _print_rows(rows: Sequence[tables.Row], as_format: str | None, text: str) -> None:
    if as_format == "json":
        echo_json(list(rows))
    elif as_format == "csv":
        echo_data(rankings.rows_csv(rows))
    else:
        echo(text, end="")


def _print_controls(
    target: RunDir, prompt_id: str | None, method: str | None, as_format: str | None
) -> None:
    if prompt_id is None or as_format == "csv":
        raise UsageError("--controls is of one prompt", "give --prompt ID, and --json or nothing")
    found = tables.controls(target, prompt_id, method)
    if as_format == "json":
        proofs = load_proofs(target, prompt_id)
        told = [{"fresh": one.fresh, **one.value.record()} for one in proofs]
        echo_json({**asdict(found), "proofs": told})
    else:
        echo(tables.controls_text(found), end="")
        for line in verdict_lines(load_proofs(target, prompt_id)):
            echo(line)


@click.command()
@click.argument("run")
@click.option("--html", "as_html", is_flag=True, help="The path of the page instead of its text.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@click.pass_obj
def report(runs: Path, run: str, as_html: bool, open_it: bool) -> None:
    """Write the report of RUN, where it is not up to date, and print it."""
    target = find_run(runs, run)
    narration.bring_up_to_date("report", target)
    if open_it and not open_page(target.report_html.resolve()):
        echo("no browser here: open the page on a machine that has one", err=True)
    if as_html or open_it:
        echo(str(target.report_html))
    else:
        _print_page(read_report(target))


def _print_page(text: str) -> None:
    """Markdown as it is for a file or a pipe, laid out for a person at a terminal."""
    if not at_terminal():
        echo_data(text)
        return
    from rich.console import Console  # here: other verbs do not wait for it
    from rich.markdown import Markdown

    pictures_named = re.sub(r"(?m)^!\[(.*)\]\(.*\)$", r"*Picture, in the HTML page: \1*", text)
    Console().print(Markdown(clean_lines(pictures_named), hyperlinks=False))


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def validate(runs: Path, run: str, as_json: bool) -> None:
    """Train RUN's model again to prove its rankings, where that is not up to date; print it."""
    target = find_run(runs, run)
    narration.bring_up_to_date("validate", target)
    summary = read_validation(target)
    if as_json:
        echo_json(asdict(summary))
    else:
        echo(validation.text(summary))


@click.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def compare(runs: Path, run_a: str, run_b: str, as_json: bool) -> None:
    """Put the settings and results of two runs side by side."""
    first, second = find_run(runs, run_a), find_run(runs, run_b)
    if first.name == second.name:
        raise UsageError(f"both runs are called {first.name!r}: name two different ones")
    if as_json:
        echo_json(
            {
                "settings": settings_rows(first, second),
                "results": result_rows(first, second),
                "cautions": cautions((first, second)),
                "completions": completions_record(first, second),
            }
        )
    else:
        echo(comparison_text(first, second))
