"""Rows of local files: .jsonl, .parquet, .csv, .arrow and .txt, a part of a file at a time."""

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
from pipeline.corpus.rows import Row, check_columns

_BATCH_ROWS = 1024


def file_rows(path: Path, wanted: Sequence[str], warn: Callable[[str], None]) -> Iterator[Row]:
    """The rows of a file, or of every file of a folder in name order.

    Raises:
        DataError: no file of a known format, a damaged one, a missing column.
    """
    for file in corpus_files(path, warn):
        with _damage_explained(file):
            yield from _READERS[file.suffix.lower()](file, wanted)


def corpus_files(path: Path, warn: Callable[[str], None]) -> list[Path]:
    """The corpus files at a path, in name order; hidden ones and other formats are passed over.

    Raises:
        DataError: nothing there, or nothing of a known format.
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
    strangers = Counter(file.suffix or file.name for file in files if file not in set(readable))
    others = ", ".join(f"{count} × {suffix}" for suffix, count in strangers.most_common(5))
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
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read: {reason}", "repair or remove the file") from error


def _jsonl(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
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


def _json_object(line: bytes) -> tuple[dict[str, Any], str]:
    """The object on a line, or why there is none."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8: {error}"
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {error}"
    return (record, "") if isinstance(record, dict) else ({}, "not a JSON object")


def _csv(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
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
    """(first line, cells, fault) of every record; blank lines are none."""
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
    """Bytes that are not UTF-8 were read as lone surrogates, which UTF-8 cannot write."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return ""


def _parquet(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        check_columns(wanted, file.schema_arrow.names, str(path))
        yield from _arrow_rows(path, file.iter_batches(_BATCH_ROWS, columns=list(wanted)))


def _arrow(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """Both flavours: the stream that `datasets` writes, and the random-access file."""
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            batches: Iterable[Any] = reader
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(source)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        check_columns(wanted, reader.schema.names, str(path))
        yield from _arrow_rows(path, (batch.select(list(wanted)) for batch in batches))


def _arrow_rows(path: Path, batches: Iterable[Any]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for cells, fault in _arrow_cells(batch):
            yield Row(str(path), number, cells, fault)
            number += 1


def _arrow_cells(batch: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """A batch's rows; where a text is not UTF-8, row by row, so that only that row is lost."""
    try:
        yield from ((cells, "") for cells in batch.to_pylist())
    except UnicodeDecodeError:
        for number in range(batch.num_rows):
            try:
                yield batch.slice(number, 1).to_pylist()[0], ""
            except UnicodeDecodeError as error:
                yield {}, f"not UTF-8: {error}"


def _txt(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """One document a file, whatever the column is called; the file's name is its id."""
    text, *others = wanted
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        yield Row(str(path), 0, {}, f"not UTF-8: {error}")
        return
    yield Row(str(path), 0, {text: content, **dict.fromkeys(others, path.stem)})


_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".csv": _csv,
    ".arrow": _arrow,
    ".txt": _txt,
}
