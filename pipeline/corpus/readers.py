"""Reads documents from the hub, from local files or from the demo corpus, one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.contract.errors import DataError
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus import demo
from pipeline.corpus.files import file_rows
from pipeline.corpus.rows import Row

_NAMED_FAULTS = 5
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")


@dataclass(frozen=True)
class Document:
    """One document of the corpus; `id` is the user's own, or empty."""

    text: str
    id: str
    row: Row


@dataclass
class ReadCounts:
    """Counts the rows that were read and those that were skipped."""

    strict: bool
    """Whether an unreadable row is an error."""
    warn: Callable[[str], None]
    """Called with each warning."""
    rows: int = 0
    empty: int = 0
    unreadable: int = 0

    def skip(self, location: str, reason: str) -> None:
        """Counts an unreadable row; warns of the first few.

        Raises:
            DataError: in strict mode.
        """
        if self.strict:
            raise DataError(
                f"{location}: {reason}", "data.strict = false skips and counts such rows"
            )
        self.unreadable += 1
        if self.unreadable <= _NAMED_FAULTS:
            self.warn(f"skipped {location}: {reason}")

    def warn_of_losses(self) -> None:
        """Warns of the numbers of skipped rows, if there are any."""
        for count, what in ((self.unreadable, "unreadable"), (self.empty, "empty")):
            if count:
                self.warn(f"{count:,} of {self.rows:,} rows are {what} and were left out")


def read_documents(data: DataSettings, seed: int, reading: ReadCounts) -> Iterator[Document]:
    """Yields every document with text among the first `data.limit` rows, in the source's order.

    Raises:
        DataError: no files, an unknown format, a missing column, a row that strict mode refuses.
        HubUnreachableError: the dataset is on the hub and the hub does not answer.
    """
    if data.source == "demo":  # its columns are the generator's, whatever the settings say
        data = data.model_copy(update={"text_column": "text", "id_column": "id"})
    for row in islice(_rows(data, seed, reading), data.limit or None):
        reading.rows += 1
        fault = row.fault or _fault(row, data)
        if fault:
            reading.skip(row.location, fault)
            continue
        text = row.cells[data.text_column] or ""
        if not has_content(text):
            reading.empty += 1
            continue
        name = "" if not data.id_column else str(row.cells[data.id_column])
        yield Document(cleaned(text), name, row)


def _rows(data: DataSettings, seed: int, reading: ReadCounts) -> Iterator[Row]:
    """Rows of the configured source, with the text and id columns."""
    wanted = list(dict.fromkeys(name for name in (data.text_column, data.id_column) if name))
    if data.source == "local":
        yield from file_rows(Path(data.path), wanted, reading.warn)
    elif data.source == "hub":
        from pipeline.corpus.hub import hub_rows  # `datasets` takes a second to import

        yield from hub_rows(data, wanted)
    else:
        for number, made in enumerate(demo.generate(seed)[0]):
            yield Row("demo", number, {"text": made.text, "id": made.id})


def _fault(row: Row, data: DataSettings) -> str:
    """Why the row's cells are no document; empty if they are one."""
    text = row.cells[data.text_column]
    if text is not None and not isinstance(text, str):
        return f"{data.text_column} is not text but {type(text).__name__}"
    if data.id_column:
        name = row.cells[data.id_column]
        if not isinstance(name, str | int) or name == "":
            return f"{data.id_column} is no id: {name!r}"
    return ""


def has_content(text: str) -> bool:
    """Whether the text has a printable character other than whitespace."""
    return any(character.isprintable() and not character.isspace() for character in text)


def cleaned(text: str) -> str:
    """Replaces what tokenizers or file formats reject, and changes nothing else.

    NUL and lone surrogates become U+FFFD; Windows and old Mac line ends become newlines.
    """
    return _LINE_END.sub("\n", _UNWRITABLE.sub("\ufffd", text))
