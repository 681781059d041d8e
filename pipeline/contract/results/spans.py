"""Spans of a text that stand in the training data, and the record of the index that finds them.

Files: `verbatim/<folder>/index.json` beside the arrays of the index, one folder for each file of
examples. No stage writes them: they are made when first needed, and anew when they do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.contract.files import read_object, write_json
from pipeline.contract.run.checksums import FileSum, sums_of
from pipeline.contract.run.typed import require_types


@dataclass(frozen=True)
class SpanIndexRecord:
    """The content of `index.json`."""

    indexed: FileSum
    """Of the file of examples."""
    indexed_mtime: int
    """Nanoseconds: a file of the same size and time is not read again."""
    tokens: int
    """Of all examples."""
    bytes: int
    """Of the arrays."""
    arrays: dict[str, FileSum]
    """By file name."""


def write_span_index(folder: Path, record: SpanIndexRecord) -> None:
    """Writes the record: the last file of an index."""
    write_json(folder / "index.json", asdict(record))


def read_span_index(folder: Path) -> SpanIndexRecord | None:
    """Reads the record; None where there is none that can be read, and the index is made anew."""
    value = read_object(folder / "index.json") or {}
    try:
        return require_types(
            SpanIndexRecord(
                indexed=require_types(FileSum(**value.pop("indexed"))),
                arrays=sums_of(value.pop("arrays")),
                **value,
            )
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Place:
    """Where a span stands."""

    example_id: str
    """With + before it in an added text."""
    position: int
    """0-based, of the span's first unit in the example: a token, or a byte of folded UTF-8."""


@dataclass(frozen=True)
class TracedSpan:
    """A stretch of a text that stands in the training data and cannot be made longer there."""

    text: str
    start: int
    """0-based, in the unit of the list that it is in."""
    end: int
    """After its last unit."""
    count: int
    """All of its places."""
    expected: float | None
    """Times that chance would put it into the corpus; None for folded text."""
    copied: bool
    added: bool
    """Whether it stands in an added text, which the model has not learnt from."""
    places: tuple[Place, ...]
    """Ten at most, in the order of the examples."""

    @property
    def length(self) -> int:
        """In its unit."""
        return self.end - self.start


@dataclass(frozen=True)
class TextTrace:
    """What of a text stands in the training data."""

    tokens: int
    """Of the text."""
    covered: int
    """Those in copied spans of the training data."""
    spans: tuple[TracedSpan, ...]
    """In tokens."""
    folded: tuple[TracedSpan, ...]
    """In letters, whatever their case, from the start of a word to the end of one."""
    built: tuple[str, ...] = ()
    """What had to be indexed first."""


def trace_of(value: Mapping[str, Any]) -> TextTrace:
    """The trace that another process wrote with `asdict`."""
    return TextTrace(
        tokens=value["tokens"],
        covered=value["covered"],
        spans=tuple(map(_span, value["spans"])),
        folded=tuple(map(_span, value["folded"])),
        built=tuple(value["built"]),
    )


def _span(value: Mapping[str, Any]) -> TracedSpan:
    return TracedSpan(**{**value, "places": tuple(Place(**one) for one in value["places"])})
