"""`headwater …`: every verb without a screen, and the dashboard.

stdout is data, stderr is narration. Exit codes: 0 ok, 1 the stage failed, 2 usage or
settings, 3 could be tried again, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.contract import stages as contract
from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.events import EventReader
from pipeline.contract.new_run import change_settings, tracing_answers, write_run
from pipeline.contract.processes import is_locked, request_cancel
from pipeline.contract.profiles import PROFILES, STARTER_PROMPTS, profile, render_settings
from pipeline.contract.prompts import save_prompts
from pipeline.contract.run_dir import RunDir, list_runs, run_path
from pipeline.contract.settings import load_settings
from pipeline.contract.status import run_status
from tui import narration, tables
from tui.comparison import result_rows, settings_rows
from tui.entry import RUNS, RUNS_VARIABLE, existing, has_terminal, open_dashboard
from tui.launcher import start_stages


class Verbs(click.Group):
    """A command group that ends on a HeadwaterError with its message and its exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Runs the verb."""
        try:
            return super().invoke(ctx)
        except HeadwaterError as error:
            click.echo(f"headwater: {error}", err=True)
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


@main.command()
@click.argument("run", required=False)
@click.pass_obj
def tui(runs: Path, run: str | None) -> None:
    """Open the dashboard, on RUN if one is named."""
    open_dashboard(runs, existing(runs, run) if run else None)


@main.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), required=False
)
@click.option(
    "--profile",
    "profile_name",
    type=click.Choice(list(PROFILES)),
    default="own-text",
    show_default=True,
    help="Settings to start from.",
)
def init(folder: Path, profile_name: str) -> None:
    """Write a commented settings.toml and prompts/ into FOLDER."""
    settings, prompts = folder / "settings.toml", folder / "prompts" / "example.jsonl"
    for path in (settings, prompts):
        if path.exists():
            raise UsageError(f"{path} exists already", "move it away, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    settings.write_text(render_settings(profile(profile_name)), encoding="utf-8")
    save_prompts(prompts, STARTER_PROMPTS)
    click.echo(f"wrote {settings} and {prompts}", err=True)
    click.echo(f"edit them, then: headwater run all --settings {settings}", err=True)


@main.command()
@click.option("--run", "name", default="demo", show_default=True, help="Name of the run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--no-tui", is_flag=True, help="Print instead of opening the dashboard.")
@click.pass_obj
def demo(runs: Path, name: str, seed: int, no_tui: bool) -> None:
    """Train a small model on planted facts and find where it learnt them."""
    run = run_path(runs, name)
    settings = profile("demo")
    settings = settings.model_copy(update={"run": settings.run.model_copy(update={"seed": seed})})
    if not is_locked(run):
        write_run(run, render_settings(settings), origin=run.settings)
        start_stages(run, contract.GROUPS["all"])
    if has_terminal() and not no_tui:
        open_dashboard(runs, run)
        return
    code = narration.follow(run, EventReader(run.events))
    if code == 0:
        click.echo(tables.demo_summary(run))
    sys.exit(code)


@main.command()
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
    chosen = contract.expand(_evaluations(stages, kind))
    name = name or (settings_file.resolve().parent.name if settings_file else None)
    if name is None:
        raise UsageError("name the run with --run, or give --settings")
    target = run_path(runs, name)
    if settings_file:
        load_settings(settings_file)
        text = settings_file.read_text(encoding="utf-8")
        write_run(target, tracing_answers(text) if use_generated else text, origin=settings_file)
    else:
        target = existing(runs, name)
        if use_generated:
            text = target.settings.read_text(encoding="utf-8")
            change_settings(target, tracing_answers(text))
    if force:
        for stage in chosen:
            contract.forget(stage, target)
    _start_and_follow(target, chosen, detach)


@main.command()
@click.argument("run")
@click.option("--detach", is_flag=True, help="Return at once; the stages go on.")
@click.pass_obj
def resume(runs: Path, run: str, detach: bool) -> None:
    """Go on with what RUN has not finished, from the last checkpoint or partition."""
    target = existing(runs, run)
    settings = load_settings(target.settings)
    left = [
        status.stage
        for status in run_status(target, settings)
        if status.state != "done" and not status.unasked
    ]
    if not left:
        click.echo(f"run {target.name} is finished", err=True)
        return
    _start_and_follow(target, tuple(left), detach)


@main.command()
@click.argument("run")
@click.pass_obj
def cancel(runs: Path, run: str) -> None:
    """Stop what works in RUN; what is finished stays. A second time: kill it."""
    target = existing(runs, run)
    if not request_cancel(target):
        click.echo(f"nothing is running in {target.name}", err=True)
        return
    while is_locked(target):
        time.sleep(0.1)
    click.echo(f"stopped; `headwater resume {target.name}` goes on", err=True)


@main.command()
@click.argument("run")
@click.pass_obj
def wait(runs: Path, run: str) -> None:
    """Wait until nothing runs in RUN; exit as its stages did."""
    target = existing(runs, run)
    sys.exit(narration.follow(target, _from_now(target)))


@main.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def status(runs: Path, run: str, as_json: bool) -> None:
    """Show what has become of each stage of RUN."""
    target = existing(runs, run)
    found = run_status(target, load_settings(target.settings))
    if as_json:
        record = {"run": target.name, "working": is_locked(target)}
        click.echo(json.dumps({**record, "stages": [asdict(stage) for stage in found]}, indent=2))
    else:
        click.echo(tables.status(found))


@main.command(name="runs")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def runs_(runs: Path, as_json: bool) -> None:
    """List the runs."""
    rows = tables.run_rows(list_runs(runs))
    click.echo(json.dumps(rows, indent=2) if as_json else tables.plain(rows))


@main.command()
@click.argument("run")
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on printing until nothing runs.")
@click.pass_obj
def logs(runs: Path, run: str, stage: str | None, follow: bool) -> None:
    """Print what the stages of RUN wrote to their logs, or STAGE alone."""
    target = existing(runs, run)
    for text in tables.log_text(target, (stage,) if stage else tuple(contract.STAGES), follow):
        click.echo(text, nl=False)


@main.command()
@click.argument("run")
@click.option("--layer", type=int, help="Decoder layer.  [default: the last one]")
@click.pass_obj
def inspect(runs: Path, run: str, layer: int | None) -> None:
    """Print the spectra of one layer's factors, and where its pictures lie."""
    click.echo(tables.layer_report(existing(runs, run), layer))


@main.command()
@click.argument("run")
@click.option("--prompt", "prompt_id", help="Id of the prompt.  [default: all prompts]")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--bottom", is_flag=True, help="The least influential examples instead.")
@click.option("--method", help="Ranking to show.  [default: the run's own]")
@click.option("--json", "as_format", flag_value="json", help="JSON, one array.")
@click.option("--csv", "as_format", flag_value="csv", help="CSV with a header.")
@click.pass_obj
def rank(
    runs: Path,
    run: str,
    prompt_id: str | None,
    top: int,
    bottom: bool,
    method: str | None,
    as_format: str | None,
) -> None:
    """Print the training examples that RUN ranks highest for a prompt."""
    target = existing(runs, run)
    end = "bottom" if bottom else "top"
    rows = tables.ranking(target, prompt_id, method, end, top)
    click.echo(tables.render_ranking(rows, as_format), nl=False)


@main.command()
@click.argument("run")
@click.option("--html", "as_html", is_flag=True, help="The path of the page instead of its text.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@click.pass_obj
def report(runs: Path, run: str, as_html: bool, open_it: bool) -> None:
    """Write the report of RUN, where it is not up to date, and print it."""
    target = existing(runs, run)
    settings = load_settings(target.settings)
    if not contract.is_fresh("report", settings, target):
        events = _from_now(target)
        start_stages(target, ("report",))
        if code := narration.follow(target, events):
            sys.exit(code)
    if open_it:
        click.launch(str(target.report_html.resolve()))
    if as_html or open_it:
        click.echo(target.report_html)
    else:
        click.echo(target.report_markdown.read_text(encoding="utf-8"), nl=False)


@main.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def compare(runs: Path, run_a: str, run_b: str, as_json: bool) -> None:
    """Put the settings and results of two runs side by side."""
    first, second = existing(runs, run_a), existing(runs, run_b)
    if first.name == second.name:
        raise UsageError(f"both runs are called {first.name!r}: name two different ones")
    settings, results = settings_rows(first, second), result_rows(first, second)
    if as_json:
        click.echo(json.dumps({"settings": settings, "results": results}, indent=2))
    else:
        click.echo(f"Settings that differ\n\n{tables.plain(settings)}\n")
        click.echo(f"Results\n\n{tables.plain(results)}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def doctor(runs: Path, as_json: bool) -> None:
    """Check driver, CUDA, disk, hub, terminal and versions; say what to do."""
    from tui.doctor import checks

    found = checks(runs)
    if as_json:
        click.echo(json.dumps([asdict(check) for check in found], indent=2))
    else:
        click.echo("\n".join(check.line() for check in found))
    sys.exit(1 if any(check.level == "fail" for check in found) else 0)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--token",
    envvar="HEADWATER_TOKEN",
    help="What visitors must show.  [default: none on the loopback, else made up and printed]",
)
@click.pass_obj
def serve(runs: Path, host: str, port: int, token: str | None) -> None:
    """Serve the dashboard to browsers; stages outlive it as they outlive a terminal."""
    from tui.serve import serve as serve_dashboard  # a web server is needed nowhere else

    serve_dashboard(runs, host, port, token)


@main.command(name="keys")
def keys_() -> None:
    """Print every key, to be changed in $XDG_CONFIG_HOME/headwater/config.toml."""
    from tui.keys import keys_toml

    click.echo(keys_toml())


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


def _start_and_follow(run: RunDir, stages: tuple[str, ...], detach: bool) -> None:
    events = _from_now(run)
    start_stages(run, stages)
    if detach:
        click.echo(f"running; `headwater tui {run.name}` watches, `headwater wait` waits", err=True)
        return
    sys.exit(narration.follow(run, events))


def _from_now(run: RunDir) -> EventReader:
    events = EventReader(run.events)
    events.read()
    return events
