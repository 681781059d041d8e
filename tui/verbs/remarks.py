"""The verbs by which a person tags runs and notes something on them."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.run.remarks import Remarks, read_remarks, split_tags, write_remarks
from pipeline.contract.run.run_dir import RunDir
from tui.printed.output import echo
from tui.runs_folder import find_run


@click.command()
@click.argument("run")
@click.argument("tags", nargs=-1)
@click.option("--remove", is_flag=True, help="Take the tags away instead.")
@click.pass_obj
def tag(runs: Path, run: str, tags: tuple[str, ...], remove: bool) -> None:
    """Give RUN some TAGS, one word each; print those that it has."""
    target = find_run(runs, run)
    named = tuple(tag for text in tags for tag in split_tags(text))
    before = read_remarks(target)
    if named:
        kept = _without(before.tags, named, target) if remove else (*before.tags, *named)
        write_remarks(target, Remarks(kept, before.note))
    if found := read_remarks(target).tags:
        echo("\n".join(found))


def _without(tags: tuple[str, ...], removed: tuple[str, ...], run: RunDir) -> tuple[str, ...]:
    there, gone = {tag.casefold() for tag in tags}, {tag.casefold() for tag in removed}
    if absent := [tag for tag in removed if tag.casefold() not in there]:
        hint = f"its tags: {', '.join(tags) or 'none'}"
        raise UsageError(f"run {run.name} has no tag {absent[0]!r}", hint)
    return tuple(tag for tag in tags if tag.casefold() not in gone)


@click.command()
@click.argument("run")
@click.argument("text", required=False)
@click.pass_obj
def note(runs: Path, run: str, text: str | None) -> None:
    """Note TEXT on RUN in place of what was noted; "" deletes it. Without TEXT: print the note."""
    target = find_run(runs, run)
    if text is not None:
        write_remarks(target, Remarks(read_remarks(target).tags, text))
    elif found := read_remarks(target).note:
        echo(found)
