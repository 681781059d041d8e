"""A person's tags and note on a run: `remarks.json` in its folder.

No stage reads them, so they may change while one is at work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pipeline.contract.errors import DamagedResultError, UsageError, disk_errors_explained
from pipeline.contract.files import read_text, write_json
from pipeline.contract.run.run_dir import RunDir

LONGEST_TAG, LONGEST_NOTE, MOST_TAGS = 40, 1000, 50
_TAG = re.compile(r"[^\s,\"']+")
_BETWEEN = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Remarks:
    """What a person says of a run."""

    tags: tuple[str, ...] = ()
    """In the order in which they were given, each once in whatever case."""
    note: str = ""
    """One line."""


def split_tags(text: str) -> tuple[str, ...]:
    """The tags that somebody wrote, between blanks or commas."""
    return tuple(filter(None, _BETWEEN.split(text)))


def checked(tags: Iterable[str], note: str) -> Remarks:
    """Tags and a note as they are kept: repeated tags once, the note on one line.

    Raises:
        UsageError: a tag or the note cannot be kept; says why.
    """
    kept: dict[str, str] = {}
    for tag in tags:
        if not _TAG.fullmatch(tag) or len(tag) > LONGEST_TAG or not tag.isprintable():
            rule = f"one word without quotes or commas, at most {LONGEST_TAG} characters"
            raise UsageError(f"tag {tag!r}: a tag is {rule}")
        kept.setdefault(tag.casefold(), tag)
    if len(kept) > MOST_TAGS:
        raise UsageError(f"{len(kept)} tags: a run has {MOST_TAGS} at most")
    line = " ".join(note.split())
    if len(line) > LONGEST_NOTE:
        raise UsageError(f"the note has {len(line):,} characters: {LONGEST_NOTE:,} at most")
    return Remarks(tuple(kept.values()), line)


def read_remarks(run: RunDir) -> Remarks:
    """A run's tags and note; empty where nobody has written any.

    Raises:
        DamagedResultError: the file holds something else.
    """
    try:
        value = json.loads(read_text(run.remarks))
        if not isinstance(value["note"], str) or not all(isinstance(t, str) for t in value["tags"]):
            raise TypeError("text is wanted")
        return checked(value["tags"], value["note"])
    except FileNotFoundError:
        return Remarks()
    except (OSError, ValueError, RecursionError, KeyError, TypeError, UsageError) as error:
        raise DamagedResultError(
            f"{run.remarks.name} of run {run.name} does not hold tags and a note",
            f"put it right by hand, or delete {run.remarks}",
        ) from error


def write_remarks(run: RunDir, remarks: Remarks) -> None:
    """Keeps tags and note, whole or not at all.

    Raises:
        UsageError: a tag or the note cannot be kept.
        ResourceError: the disk has no room for them.
    """
    kept = checked(remarks.tags, remarks.note)
    with disk_errors_explained(run.root):
        write_json(run.remarks, asdict(kept))
