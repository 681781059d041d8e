"""Documents from the hub, from local files, or from the demo's generator, one at a time."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract.errors import DataError, HubUnreachableError
from pipeline.contract.settings import DataSettings
from pipeline.corpus import demo

SUFFIXES = (".jsonl", ".parquet", ".csv", ".arrow", ".txt")
_BATCH_ROWS = 1024
_NAMED_FAULTS = 5


@dataclass(frozen=True)
class Document:
    """One row of the corpus. `id` is the user's own, or empty."""

    text: str
    id: str
    source: str
    row: int
    """0-based in the source."""


@dataclass
class Reading:
    """Counts what was read, and what was left out and why."""

    strict: bool
    warn: Callable[[str], None]
    rows: int = 0
    empty: int = 0
    unreadable: int = 0
    faults: list[str] = field(default_factory=list)

    def skip(self, where: str, why: str) -> None:
        """An unreadable row: counted, the first few named.

        Raises:
            DataError: in strict mode.
        """
        if self.strict:
            raise DataError(f"{where}: {why}", "data.strict = false skips and counts such rows")
        self.unreadable += 1
        if self.unreadable <= _NAMED_FAULTS:
            self.warn(f"skipped {where}: {why}")


@dataclass(frozen=True)
class _Row:
    """A row as its format gives it: the wanted cells, or why it could not be read."""

    where: str
    number: int
    cells: dict[str, Any] | None
    fault: str = ""


def read_documents(data: DataSettings, seed: int, reading: Reading) -> Iterator[Document]:
    """Every document with text, in the order of the source, up to `data.limit` rows.

    Raises:
        DataError: no files, an unknown format, a missing column, a row that strict mode refuses.
        HubUnreachableError: the dataset is on the hub and the hub does not answer.
    """
    if data.source == "demo":
        for row, made in enumerate(demo.generate(seed)[0]):
            reading.rows += 1
            yield Document(made.text, made.id, "demo", row)
        return
    sources = _hub_sources(data) if data.source == "hub" else _file_sources(data)
    for source, rows in sources:
        for row in rows:
            if data.limit and reading.rows >= data.limit:
                return
            reading.rows += 1
            document = _document(row, source, data, reading)
            if document is not None:
                yield document


def _document(row: _Row, source: str, data: DataSettings, reading: Reading) -> Document | None:
    if row.cells is None:
        reading.skip(row.where, row.fault)
        return None
    text = row.cells[data.text_column]
    if not isinstance(text, str) and text is not None:
        kind = type(text).__name__
        reading.skip(row.where, f"{data.text_column} is not text but {kind}")
        return None
    text = printable(text or "")
    if not any(character.isprintable() and not character.isspace() for character in text):
        reading.empty += 1
        return None
    name = row.cells[data.id_column] if data.id_column else ""
    return Document(text, str(name), source, row.number)


def printable(text: str) -> str:
    """Text that every tokenizer and file format takes: NUL and lone surrogates become U+FFFD,
    Windows and old Mac line ends become newlines. Nothing else is changed."""
    text = text.replace("\x00", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _file_sources(data: DataSettings) -> Iterator[tuple[str, Iterator[_Row]]]:
    wanted = [name for name in (data.text_column, data.id_column) if name]
    for path in local_files(Path(data.path)):
        yield str(path), _READERS[path.suffix.lower()](path, wanted)


def local_files(path: Path) -> list[Path]:
    """The corpus files at a path, in name order; hidden ones are passed over.

    Raises:
        DataError: nothing there, or nothing of a known format.
    """
    known = ", ".join(SUFFIXES)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: unknown format {path.suffix!r}; known: {known}")
        return [path]
    if not path.exists():
        raise DataError(f"data.path: there is no file or folder {path}")
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise DataError(f"{path} holds no file of a known format; known: {known}")
    return files


def _jsonl(path: Path, wanted: list[str]) -> Iterator[_Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            where = f"{path}:{number + 1}"
            try:
                record = json.loads(line)
            except ValueError as error:
                yield _Row(where, number, None, f"not JSON: {error}")
                continue
            if not isinstance(record, dict):
                yield _Row(where, number, None, "not a JSON object")
                continue
            missing = [name for name in wanted if name not in record]
            if missing and number == 0:
                raise _missing_column(missing[0], list(record), str(path))
            if missing:
                there = ", ".join(record)
                yield _Row(where, number, None, f"no key {missing[0]!r}; there are: {there}")
                continue
            yield _Row(where, number, record)


def _csv(path: Path, wanted: list[str]) -> Iterator[_Row]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        _check_columns(wanted, list(rows.fieldnames or []), str(path))
        for number, cells in enumerate(rows):
            where = f"{path}:{rows.line_num}"
            if any(cells[name] is None for name in wanted):
                yield _Row(where, number, None, "fewer cells than the header names")
            else:
                yield _Row(where, number, cells)


def _parquet(path: Path, wanted: list[str]) -> Iterator[_Row]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a Parquet file: {error}") from error
    _check_columns(wanted, file.schema_arrow.names, str(path))
    yield from _arrow_rows(path, file.iter_batches(_BATCH_ROWS, columns=wanted))


def _arrow(path: Path, wanted: list[str]) -> Iterator[_Row]:
    """Both flavours: the stream that `datasets` writes, and the random-access file."""
    with pa.memory_map(str(path)) as source:
        try:
            stream = pa.ipc.open_stream(source)
            batches: Iterable[pa.RecordBatch] = stream
        except pa.ArrowInvalid:
            try:
                stream = pa.ipc.open_file(source)
            except pa.ArrowInvalid as error:
                raise DataError(f"{path}: not an Arrow file: {error}") from error
            batches = (stream.get_batch(n) for n in range(stream.num_record_batches))
        _check_columns(wanted, stream.schema.names, str(path))
        yield from _arrow_rows(path, (batch.select(wanted) for batch in batches))


def _arrow_rows(path: Path, batches: Iterable[Any]) -> Iterator[_Row]:
    number = 0
    for batch in batches:
        for cells in batch.to_pylist():
            yield _Row(f"{path} row {number}", number, cells)
            number += 1


def _txt(path: Path, wanted: list[str]) -> Iterator[_Row]:
    """One document a file, whatever the column is called; the file's name is its id."""
    text, *others = wanted
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        yield _Row(str(path), 0, None, f"not UTF-8: {error}")
        return
    yield _Row(str(path), 0, {text: content, **dict.fromkeys(others, path.stem)})


_READERS: dict[str, Callable[[Path, list[str]], Iterator[_Row]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".txt": _txt,
}


def _check_columns(wanted: list[str], there: list[str], where: str) -> None:
    for name in wanted:
        if name not in there:
            raise _missing_column(name, there, where)


def _missing_column(name: str, there: list[str], where: str) -> DataError:
    hint = "set data.text_column or data.id_column to one of these"
    return DataError(f"{where} has no column {name!r}; there are: {', '.join(there)}", hint)


def _hub_sources(data: DataSettings) -> Iterator[tuple[str, Iterator[_Row]]]:
    wanted = [name for name in (data.text_column, data.id_column) if name]
    yield data.path, _hub_rows(data, wanted)


def _hub_rows(data: DataSettings, wanted: list[str]) -> Iterator[_Row]:
    dataset = _load_hub_dataset(data)
    columns = dataset.column_names or list(next(iter(dataset), {}))
    _check_columns(wanted, columns, data.path)
    for number, cells in enumerate(dataset.select_columns(wanted)):
        yield _Row(f"{data.path} row {number}", number, cells)


def _load_hub_dataset(data: DataSettings) -> Any:
    import datasets  # a second to import, and only the hub needs it

    split = data.split
    if data.limit and not data.streaming:
        split = f"{data.split}[:{data.limit}]"
    try:
        return datasets.load_dataset(
            data.path, data.config or None, split=split, streaming=data.streaming
        )
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError) as error:
        if isinstance(error, datasets.exceptions.DatasetNotFoundError) and not _offline(error):
            raise DataError(f"data.path: {error}") from error
        hint = 'use files instead: data.source = "local" and data.path = their folder'
        raise HubUnreachableError(
            f"the hub does not answer, and dataset {data.path!r} is not cached here", hint
        ) from error
    except ValueError as error:  # its message lists the configurations or splits there are
        raise DataError(f"dataset {data.path}: {error}") from error


def _offline(error: BaseException | None) -> bool:
    """Whether the hub was out of reach, as opposed to having no such dataset."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    while error is not None:
        if isinstance(error, HfHubHTTPError):
            return False
        if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError | ConnectionError):
            return True
        error = error.__cause__ or error.__context__
    return False
