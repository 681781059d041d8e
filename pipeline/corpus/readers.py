"""Reads documents from the hub, from local files or from the demo corpus, one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.contract.errors import DataError
from pipeline.contract.settings.messages import MessagesError
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus import demo
from pipeline.corpus.files import file_rows
from pipeline.corpus.forms import OPTIONAL, Content, column_choices, content
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
    record: str = ""
    """Of a completion or a conversation, see `forms.Content`; empty in plain text."""


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
    columns = _columns(data, seed)
    for row in islice(_rows(data, columns, seed, reading.warn), data.limit or None):
        reading.rows += 1
        fault = row.fault or _fault(row, data)
        try:
            found = Content("") if fault else content(row.cells, columns, data, cleaned)
        except MessagesError as error:
            fault = str(error)
        if fault:
            reading.skip(row.location, fault)
            continue
        if not has_content(found.text):
            reading.empty += 1
            continue
        name = "" if not data.id_column else str(row.cells[data.id_column])
        yield Document(cleaned(found.text), name, row, found.record)


def _columns(data: DataSettings, seed: int) -> tuple[str, ...]:
    """The columns that hold the documents: the first of the usual ones that the source has."""
    choices = column_choices(data)
    for columns in choices if len(choices) > 1 else ():
        with suppress(DataError):  # what is wrong is said when all is read
            next(_rows(data, columns, seed, lambda _message: None), None)
            return columns
    return choices[0]


def _rows(
    data: DataSettings, columns: Sequence[str], seed: int, warn: Callable[[str], None]
) -> Iterator[Row]:
    """Rows of the configured source, with the columns of the documents and of their ids."""
    wanted = list(dict.fromkeys(name for name in (*columns, data.id_column) if name))
    optional = OPTIONAL[data.form]
    if data.source == "local":
        yield from file_rows(Path(data.path), wanted, warn, optional)
    elif data.source == "hub":
        from pipeline.corpus.hub import hub_rows  # `datasets` takes a second to import

        yield from hub_rows(data, wanted, optional)
    else:
        for number, made in enumerate(demo.generate(seed)[0]):
            yield Row("demo", number, {"text": made.text, "id": made.id})


def _fault(row: Row, data: DataSettings) -> str:
    """Why the row's cells are no document; empty if they are one."""
    if data.form != "text" and ".txt" in Path(row.source).suffixes:
        return f'a plain text holds no columns, as data.form = "{data.form}" needs them'
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
