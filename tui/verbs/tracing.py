"""The verb that finds what of a text stands in the training data, word for word."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.files import read_text
from pipeline.contract.results.origin import origin_word
from pipeline.contract.results.spans import TracedSpan
from tui.printed import tables
from tui.printed.output import echo, echo_json
from tui.processes.tracer import trace_text
from tui.readers.clean import clean
from tui.runs_folder import find_run

_EXCERPT = 60


@click.command()
@click.argument("run")
@click.argument("text", metavar="TEXT|FILE|-")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, every span in it.")
@click.pass_obj
def trace(runs: Path, run: str, text: str, as_json: bool) -> None:
    """Find what of a text stands word for word in RUN's training data.

    Copied is a span of at least 6 tokens, or a shorter one that chance would hardly put there.
    """
    target = find_run(runs, run)
    content = _content(text)
    if not content.strip():
        raise UsageError("the text is empty", "write some words, a file that holds some, or -")
    found = trace_text(target, content)
    for what in found.built:
        echo(what, err=True)
    if as_json:
        # what taught a text that is no copy, only a question to the model can tell
        word = origin_word(copied=found.is_copied, taught=None)
        echo_json({**asdict(found), "verdict": word})
        return
    if found.copies:
        echo(tables.plain(list(map(_row, found.copies))))
    echo(f"{found.covered:,} of {found.tokens:,} tokens are copied", err=True)
    if not found.copies:
        echo("no span is copied; `--json` lists the short ones", err=True)


def _content(text: str) -> str:
    """The text itself, that of a file, or that of stdin."""
    try:
        if text == "-":
            return sys.stdin.buffer.read().decode("utf-8-sig")
        path = Path(text)
        if _exists(path):
            return read_text(path)
        text.encode()  # the shell's bytes that are not UTF-8 come as surrogates
    except UnicodeError as error:
        source = {"-": "stdin"}.get(text, "the text")
        raise UsageError(f"{source} is not UTF-8", "convert it, as by `iconv`") from error
    except IsADirectoryError as error:
        raise UsageError(f"{text} is a folder", "name one file of it") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{text} cannot be read: {error}") from error
    return text


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL: it is the text
        return False


def _row(span: TracedSpan) -> tables.Row:
    return {
        "length": f"{span.length} {span.unit}",
        "places": span.count,
        "example": clean(span.places[0].example_id),
        "text": clean(span.text, _EXCERPT),
    }
