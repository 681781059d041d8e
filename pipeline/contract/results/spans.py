"""Spans of a text that stand in the training data, and the record of the index that finds them.

Files: `verbatim/<folder>/index.json` beside the arrays of the index, one folder for each file of
examples. No stage writes them: they are made when first needed, and anew when they do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from operator import itemgetter
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
    """0-based, of the span's first unit in the example: a token, or a byte of folded UTF-8 where
    places are those of letters."""
    row: int
    """0-based, of the example in its file."""


@dataclass(frozen=True)
class TracedSpan:
    """A stretch of a text that stands in the training data and cannot be made longer there."""

    text: str
    start: int
    """0-based, in the unit of the list that it is in."""
    end: int
    """After its last unit."""
    letters: tuple[int, int]
    """The letters of the text that it stands for: the first, and the one after the last."""
    count: int
    """All of its places."""
    expected: float | None
    """Times that chance would put it into the corpus; None for folded text."""
    copied: bool
    added: bool
    """Whether it stands in an added text, which the model has not learnt from."""
    places: tuple[Place, ...]
    """Ten at most, in the order of the examples."""
    by_letters: bool = False
    """Of a span of tokens: whether its letters stand in more places than its tokens do, there cut
    into others or in another case. Count and places are then those of the letters."""

    @property
    def length(self) -> int:
        """In its unit."""
        return self.end - self.start

    @property
    def unit(self) -> str:
        """What it is counted in: only of tokens it is known what chance gives."""
        return "letters" if self.expected is None else "tokens"

    def is_within(self, other: TracedSpan) -> bool:
        """Whether it stands for no letter that the other one does not stand for."""
        return other.letters[0] <= self.letters[0] and self.letters[1] <= other.letters[1]


@dataclass(frozen=True)
class TextTrace:
    """What of a text stands in the training data."""

    text: str
    """The words that it follows, if any, and what is judged."""
    begins: int
    """The letter at which what is judged begins: an answer, after its prompt; 0 = all of it."""
    tokens: int
    """Of what is judged."""
    covered: int
    """Those in copied spans of the training data, in whatever case these stand there."""
    spans: tuple[TracedSpan, ...]
    """In tokens."""
    folded: tuple[TracedSpan, ...]
    """In letters, whatever their case, from the start of a word to the end of one."""
    built: tuple[str, ...] = ()
    """What had to be indexed first."""

    @property
    def is_copied(self) -> bool:
        """Whether at least half of what is judged is copied. A long answer always holds some
        common phrase, which does not make it a copy."""
        return 0 < self.tokens <= 2 * self.covered

    @property
    def copies(self) -> tuple[TracedSpan, ...]:
        """The copied spans that reach into what is judged, in its order, without those that stand
        within others: an exact one within a folded one, or the other way around."""
        kept: list[TracedSpan] = []
        found = (span for span in (*self.spans, *self.folded) if self._counts(span))
        for span in sorted(found, key=lambda one: (one.letters[0], -one.letters[1])):
            if not any(span.is_within(one) and span.added == one.added for one in kept):
                kept.append(span)
        return tuple(kept)

    def _counts(self, span: TracedSpan) -> bool:
        return span.copied and span.letters[1] > self.begins

    def copies_alone(self) -> TextTrace:
        """The same without the spans that are no copies: what a stage keeps."""
        kept = frozenset(map(id, self.copies))
        spans, folded = (
            tuple(span for span in kind if id(span) in kept) for kind in (self.spans, self.folded)
        )
        return replace(self, spans=spans, folded=folded)


def parted(text: str, begins: int, trace: TextTrace | None) -> Iterator[tuple[str, bool]]:
    """A part of the text that was traced, from its letter `begins` on, in pieces: each with whether
    it is copied."""
    copied = [False] * len(text)
    for span in trace.copies if trace else ():
        first, last = (max(0, min(len(text), letter - begins)) for letter in span.letters)
        copied[first:last] = [True] * (last - first)
    for is_copied, letters in groupby(zip(text, copied, strict=True), key=itemgetter(1)):
        yield "".join(letter for letter, _ in letters), is_copied


def judged(form: str, prompt: str, answer: str) -> tuple[str, int]:
    """The text that an answer is traced in, and the letter of it that the answer begins at.

    An answer is traced as it follows its prompt: a short one says nothing alone. In a conversation
    (the data's form "chat") the template stands between both, so there it is traced alone.
    """
    return (answer, 0) if form == "chat" else (prompt + answer, len(prompt))


def trace_of(value: Mapping[str, Any]) -> TextTrace:
    """The trace that another process wrote with `asdict`."""
    lists = {name: tuple(map(_span, value[name])) for name in ("spans", "folded")}
    return TextTrace(**{**value, **lists, "built": tuple(value["built"])})


def _span(value: Mapping[str, Any]) -> TracedSpan:
    places = tuple(Place(**one) for one in value["places"])
    return TracedSpan(**{**value, "letters": tuple(value["letters"]), "places": places})
