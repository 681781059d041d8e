"""The one place that prints: nothing that data, files or messages hold is obeyed by a terminal.

stdout is for results, stderr for what is said about them. Rich's consoles get text from
`clean_lines`.
"""

from __future__ import annotations

import json
import re
import sys

import click

from tui.readers.clean import clean_lines

_ESCAPED = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def echo(text: str = "", *, err: bool = False, end: str = "\n") -> None:
    """Prints text for a person: control characters become visible symbols."""
    click.echo(clean_lines(text) + end, nl=False, err=err)


def echo_json(value: object) -> None:
    """Prints JSON, indented; what a terminal could obey or hide is written as \\u escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # Click drops colours where stdout is no terminal, and with them parts of the data
    click.echo(_ESCAPED.sub(lambda match: json.dumps(match.group())[1:-1], text), color=True)


def at_terminal() -> bool:
    """Whether a terminal shows what is printed on stdout."""
    return sys.stdout.isatty()


def echo_data(text: str) -> None:
    """Prints CSV or Markdown: as it is into a file or a pipe, harmless on a terminal."""
    click.echo(clean_lines(text) if at_terminal() else text, nl=False, color=True)
