"""Reads rows of local .jsonl, .parquet, .csv, .arrow and .txt files, a batch at a time."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract.errors import DataError
from pipeline.corpus.rows import Row, check_columns, present

_BATCH_ROWS = 1024


def file_rows(
    path: Path, wanted: Sequence[str], warn: Callable[[str], None], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """Yields the rows of a file, or of all files of a folder in name order.

    `optional` columns are read where they are there.

    Raises:
        DataError: no file of a known format, a damaged one, a missing column.
    """
    for file in corpus_files(path, warn):
        with _damage_explained(file):
            yield from _READERS[file.suffix.lower()](file, wanted, optional)


def corpus_files(path: Path, warn: Callable[[str], None]) -> list[Path]:
    """Lists the corpus files at a path, in name order, without hidden files and other formats.

    Raises:
        DataError: the path does not exist, or has no file of a known format.
    """
    known = ", ".join(_READERS)
    if not path.exists():
        raise DataError(f"data.path: there is no file or folder {path}")
    if path.is_file():
        if path.suffix.lower() not in _READERS:
            raise DataError(f"{path}: unknown format {path.suffix!r}; known: {known}")
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
    readable = [file for file in files if file.suffix.lower() in _READERS]
    unknown = Counter(file.suffix or file.name for file in files if file not in set(readable))
    others = ", ".join(f"{count} × {suffix}" for suffix, count in unknown.most_common(5))
    if not readable:
        there = f"there are: {others}" if others else "it is empty"
        raise DataError(f"{path} holds no file of a known format ({known}); {there}")
    if others:
        warn(f"files of other formats in {path} were passed over: {others}")
    return readable


def _hidden(file: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(below).parts)


@contextmanager
def _damage_explained(file: Path) -> Iterator[None]:
    """Turns errors of reading a damaged file into DataError."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read: {reason}", "repair or remove the file") from error


def _jsonl(path: Path, wanted: Sequence[str], _optional: Sequence[str]) -> Iterator[Row]:
    known = False  # whether a record has had the columns: a first one without them is an error
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            record, fault = _json_object(line)
            if not fault and not known:
                check_columns(wanted, record, f"{path}:{number + 1}")
                known = True
            if missing := [name for name in wanted if not fault and name not in record]:
                fault = f"no key {missing[0]!r}; there are: {', '.join(record)}"
            yield Row(str(path), number, record, fault, number + 1)


def _json_object(line: bytes) -> tuple[dict[str, object], str]:
    """The JSON object on a line, or the reason why there is none."""
    try:
        # -sig: Windows programs write a byte-order mark at the start of a file
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8: {error}"
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {error}"
    return (record, "") if isinstance(record, dict) else ({}, "not a JSON object")


def _csv(path: Path, wanted: Sequence[str], _optional: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # the default is shorter than many documents
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file, strict=True)
        names = next(lines, [])
        check_columns(wanted, names, str(path))
        for number, (line, cells, fault) in enumerate(_csv_records(lines)):
            if not fault and len(cells) != len(names):
                fault = f"{len(cells)} cells, but the header names {len(names)}"
            if not fault and not "".join(cells).isascii():
                fault = _undecodable(cells)
            yield Row(str(path), number, dict(zip(names, cells, strict=False)), fault, line)


def _csv_records(lines: Any) -> Iterator[tuple[int, list[str], str]]:
    """Yields (first line, cells, fault) of each record; blank lines are skipped."""
    while True:
        line = lines.line_num + 1
        try:
            cells = next(lines, None)
        except csv.Error as error:
            yield line, [], f"not CSV: {error}"
            continue
        if cells is None:
            return
        if cells:
            yield line, cells, ""


def _undecodable(cells: list[str]) -> str:
    """The fault of cells that hold bytes other than UTF-8; "" if there are none."""
    # surrogateescape reads such bytes as lone surrogates, which cannot be encoded
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return ""


def _parquet(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        check_columns(wanted, file.schema_arrow.names, str(path))
        columns = present(wanted, optional, file.schema_arrow.names)
        yield from _arrow_rows(path, file.iter_batches(_BATCH_ROWS, columns=columns))


def _arrow(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Rows of an Arrow stream, as `datasets` writes it, or of an Arrow random-access file."""
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            batches: Iterable[Any] = reader
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(source)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        check_columns(wanted, reader.schema.names, str(path))
        columns = present(wanted, optional, reader.schema.names)
        yield from _arrow_rows(path, (batch.select(columns) for batch in batches))


def _arrow_rows(path: Path, batches: Iterable[Any]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for cells, fault in _arrow_cells(batch):
            yield Row(str(path), number, cells, fault)
            number += 1


def _arrow_cells(batch: Any) -> Iterator[tuple[dict[str, object], str]]:
    """Yields (cells, fault) of each row of a batch."""
    try:
        yield from ((cells, "") for cells in batch.to_pylist())
    except UnicodeDecodeError:  # again row by row, so that only the faulty row is lost
        for number in range(batch.num_rows):
            try:
                yield batch.slice(number, 1).to_pylist()[0], ""
            except UnicodeDecodeError as error:
                yield {}, f"not UTF-8: {error}"


def _txt(path: Path, wanted: Sequence[str], _optional: Sequence[str]) -> Iterator[Row]:
    """The file as one row: its text in the first wanted column, its name in the others (the id)."""
    text, *others = wanted
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        yield Row(str(path), 0, {}, f"not UTF-8: {error}")
        return
    yield Row(str(path), 0, {text: content, **dict.fromkeys(others, path.stem)})


_READERS: dict[str, Callable[[Path, Sequence[str], Sequence[str]], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".csv": _csv,
    ".arrow": _arrow,
    ".txt": _txt,
}
