"""The verbs that open the dashboard or make ready for it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.settings.profiles import (
    PROFILES,
    profile,
    render_settings,
    starter_prompts,
)
from pipeline.contract.settings.prompts import save_prompts
from tui.dashboard import open_dashboard
from tui.printed.output import echo, echo_data, echo_json
from tui.runs_folder import find_run


@click.command()
@click.argument("run", required=False)
@click.pass_obj
def tui(runs: Path, run: str | None) -> None:
    """Open the dashboard, on RUN if one is named."""
    open_dashboard(runs, find_run(runs, run) if run else None)


@click.command()
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
    chosen = profile(profile_name)
    settings.write_text(render_settings(chosen), encoding="utf-8")
    save_prompts(prompts, starter_prompts(chosen))
    echo(f"wrote {settings} and {prompts}", err=True)
    echo(f"edit them, then: headwater run all --settings {settings}", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def doctor(runs: Path, as_json: bool) -> None:
    """Check driver, CUDA, disk, hub, terminal and versions; say what to do."""
    from tui.doctor import checks

    results = checks(runs)
    if as_json:
        echo_json([asdict(check) for check in results])
    else:
        echo("\n".join(check.line() for check in results))
    sys.exit(1 if any(check.level == "fail" for check in results) else 0)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File of mode 0600, or - for stdin: its first line is what visitors must show.  "
    "[default: HEADWATER_TOKEN, else a new one is printed]",
)
@click.option("--no-token", is_flag=True, help="Let every account of this machine in.")
@click.pass_obj
def serve(runs: Path, host: str, port: int, token_file: Path | None, no_token: bool) -> None:
    """Serve the dashboard to browsers; stages outlive it as they outlive a terminal."""
    from tui import serve as server  # a web server is needed nowhere else

    if no_token and token_file:
        raise UsageError("--no-token and --token-file exclude each other", "leave one out")
    token = server.chosen_token(token_file, os.environ)
    server.serve(runs, host, port, "" if no_token else token)


@click.command(name="keys")
def keys_() -> None:
    """Print every key, to be changed in $XDG_CONFIG_HOME/headwater/config.toml."""
    from tui.keys import keys_toml

    echo_data(keys_toml() + "\n")
