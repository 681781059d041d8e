"""Reads documents from the hub, from local files or from the demo corpus, one at a time."""

from __future__ import annotations

import math
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
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.rows import EVERY_COLUMN, Row

_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")
_DEMO_COLUMNS = {"text_column": "text", "messages_column": "messages", "id_column": "id"}


@dataclass(frozen=True)
class Document:
    """One document of the corpus; `id` is the user's own, or empty."""

    text: str
    id: str
    row: Row
    record: str = ""
    """Of a completion or a conversation, see `forms.Content`; empty in plain text."""


def read_documents(data: DataSettings, seed: int, reading: ReadCounts) -> Iterator[Document]:
    """Yields every document with text among the first `data.limit` rows, in the source's order.

    Raises:
        DataError: no files, an unknown format, a missing column, a row that strict mode refuses.
        HubUnreachableError: the dataset is on the hub and the hub does not answer.
    """
    data = _with_columns(data)
    columns = _columns(data, seed)
    for row in islice(_rows(data, columns, seed, reading.warn), data.limit or None):
        reading.count(row)
        name = "" if row.fault or not data.id_column else _id(row.cells[data.id_column])
        fault = row.fault or _fault(row, data, name)
        try:
            found = Content("") if fault else content(row.cells, columns, data, cleaned)
        except MessagesError as error:
            fault = str(error)
        if fault:
            reading.skip(row, fault)
            continue
        if not has_content(found.text):
            reading.skip_empty(row)
            continue
        yield Document(cleaned(found.text), name, row, found.record)


def source_rows(data: DataSettings, seed: int) -> Iterator[Row]:
    """Yields the rows that `read_documents` looks at, with all columns that the source has.

    Raises:
        DataError, HubUnreachableError: as there.
    """
    data = _with_columns(data)
    rows = _rows(data, _columns(data, seed), seed, lambda _message: None, EVERY_COLUMN)
    yield from islice(rows, data.limit or None)


def _with_columns(data: DataSettings) -> DataSettings:
    """The demo's columns are the generator's, whatever the settings say."""
    return data.model_copy(update=_DEMO_COLUMNS) if data.source == "demo" else data


def _columns(data: DataSettings, seed: int) -> tuple[str, ...]:
    """The columns that hold the documents: the first of the usual ones that the source has."""
    choices = column_choices(data)
    for columns in choices if len(choices) > 1 else ():
        with suppress(DataError):  # what is wrong is said when all is read
            next(_rows(data, columns, seed, lambda _message: None), None)
            return columns
    return choices[0]


def _rows(
    data: DataSettings,
    columns: Sequence[str],
    seed: int,
    warn: Callable[[str], None],
    optional: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Rows of the configured source, with the columns of the documents and of their ids; the
    `optional` ones, by default the form's, where they are there."""
    wanted = list(dict.fromkeys(name for name in (*columns, data.id_column) if name))
    optional = OPTIONAL[data.form] if optional is None else optional
    if data.source == "local":
        yield from file_rows(Path(data.path), wanted, warn, optional, data.split)
    elif data.source == "hub":
        from pipeline.corpus.hub import hub_rows  # `datasets` takes a second to import

        yield from hub_rows(data, wanted, optional)
    else:
        for number, made in enumerate(demo.generate(seed)[0]):
            cells = {"text": made.text, "messages": made.messages, "id": made.id}
            yield Row("demo", number, cells)


def _fault(row: Row, data: DataSettings, name: str) -> str:
    """Why the row's cells are no document; empty if they are one."""
    if data.form != "text" and ".txt" in Path(row.source).suffixes:
        return f'a plain text holds no columns, as data.form = "{data.form}" needs them'
    if data.id_column and not name:
        return f"{data.id_column} is no id: {row.cells[data.id_column]!r}"
    return ""


def _id(value: object) -> str:
    """An id as text; empty if it is none. Tables with gaps hold whole numbers as floats: 7.0."""
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    return (
        cleaned(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    )


def has_content(text: str) -> bool:
    """Whether the text has a printable character other than whitespace."""
    return any(character.isprintable() and not character.isspace() for character in text)


def cleaned(text: str) -> str:
    """Replaces what tokenizers or file formats reject, and changes nothing else.

    NUL and lone surrogates become U+FFFD; Windows and old Mac line ends become newlines.
    """
    return _LINE_END.sub("\n", _UNWRITABLE.sub("\ufffd", text))
