"""Reads rows of local files, a batch at a time: JSON, Parquet, CSV, Arrow, plain text."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract.errors import DataError
from pipeline.contract.files import printable
from pipeline.corpus.delimited import csv_rows
from pipeline.corpus.file_format import KNOWN, FileFormat, detect_format, opened
from pipeline.corpus.folders import select
from pipeline.corpus.rows import Row, check_columns, present
from pipeline.corpus.values import json_elements, json_object

_BATCH_ROWS = 1024
_BATCH_BYTES = 32 * 2**20


def file_rows(
    path: Path,
    wanted: Sequence[str],
    warn: Callable[[str], None],
    optional: Sequence[str] = (),
    split: str = "",
) -> Iterator[Row]:
    """Yields the rows of a file, or of all files of a folder that belong to a split, by name.

    A file of the folder that is something else than its name says is one faulty row of its size.

    `optional` columns are read where they are there.

    Raises:
        DataError: no file of a known format, a damaged one, a missing column; or a single file
            that is something else than its name says.
    """
    selection = select(path, split)
    for group in selection.left_out:
        warn(f"left out of {printable(path)}: {group}")
    for file in selection.files:
        with _damage_explained(file):
            detected = detect_format(file)
            if fault := _fault(detected):
                if file == path:
                    raise DataError(f"{printable(file)} {fault}")
                yield Row(printable(file), 0, {}, fault, size=detected.bytes)
            else:
                yield from _rows(file, detected, wanted, optional)


def _fault(detected: FileFormat) -> str:
    if not detected.fault and not detected.kind:
        return f"holds no list of records; known: {KNOWN}"
    if not detected.fault and detected.compression and detected.kind in ("parquet", "arrow"):
        return f"is {detected.kind.capitalize()} packed by {detected.compression}; unpack it"
    return detected.fault


def _rows(
    file: Path, detected: FileFormat, wanted: Sequence[str], optional: Sequence[str]
) -> Iterator[Row]:
    name = printable(file)
    if detected.kind == "parquet":
        yield from _parquet(file, name, wanted, optional)
    elif detected.kind == "arrow":
        yield from _arrow(file, name, wanted, optional)
    else:
        readers = {"lines": _jsonl, "array": _json_array, "csv": csv_rows, "txt": _txt}
        with opened(file, detected.compression) as content:
            yield from readers[detected.kind](content, name, wanted)


@contextmanager
def _damage_explained(file: Path) -> Iterator[None]:
    """Turns errors of reading a damaged file into DataError."""
    try:
        yield
    except (
        OSError,
        EOFError,
        UnicodeError,
        zlib.error,
        lzma.LZMAError,
        pa.ArrowException,
    ) as error:
        reason = " ".join(str(error).split())
        hint = "repair or remove the file"
        raise DataError(f"{printable(file)} cannot be read: {reason}", hint) from error


def _jsonl(file: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[Row]:
    known = False  # whether a record has had the columns: a first one without them is an error
    for number, line in enumerate(file):
        if not line.strip():
            continue
        record, fault = json_object(line, wanted)
        if not fault and not known:
            check_columns(wanted, record, f"{name}:{number + 1}")
            known = True
        if missing := [key for key in wanted if not fault and key not in record]:
            fault = f"no key {missing[0]!r}; there are: {', '.join(record)}"
        yield Row(name, number, record, fault, number + 1, len(line), 1)


def _json_array(file: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[Row]:
    known = False
    for number, element in enumerate(json_elements(file, wanted)):
        record, fault = element.record, element.fault
        if not fault and not known:
            check_columns(wanted, record, f"{name} row {number}")
            known = True
        if missing := [key for key in wanted if not fault and key not in record]:
            fault = f"no key {missing[0]!r}; there are: {', '.join(record)}"
        yield Row(name, number, record, fault, 0, element.size, element.lines)


def _parquet(
    path: Path, name: str, wanted: Sequence[str], optional: Sequence[str]
) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        check_columns(wanted, file.schema_arrow.names, name)
        columns = present(wanted, optional, file.schema_arrow.names)
        share = path.stat().st_size // max(1, file.metadata.num_rows)
        rows = _batch_rows(file.metadata)
        yield from _arrow_rows(name, file.iter_batches(rows, columns=columns), share)


def _batch_rows(metadata: Any) -> int:
    """How many rows make a batch that is not too large for the memory, and not too long.

    Of whole rows, though only some columns are read: PyArrow ends the process where the metadata
    of a column are damaged.
    """
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    most = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, most)))


def _arrow(path: Path, name: str, wanted: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Rows of an Arrow stream, as `datasets` writes it, or of an Arrow random-access file."""
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            batches: Iterable[Any] = reader
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(source)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        check_columns(wanted, reader.schema.names, name)
        columns = present(wanted, optional, reader.schema.names)
        yield from _arrow_rows(name, (_sound(batch.select(columns)) for batch in batches))


def _sound(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, every offset and length in it checked: Arrow itself believes what a mapped file
    says of them, and would read anywhere in the memory. Letters are checked row by row later."""
    columns = [column.view(_as_bytes(column.type)) for column in batch.columns]
    pa.RecordBatch.from_arrays(columns, names=batch.schema.names).validate(full=True)
    return batch


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """The type with bytes in the place of text."""
    if kind in (pa.string(), pa.large_string()):
        return pa.binary() if kind == pa.string() else pa.large_binary()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_as_bytes(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_as_bytes(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in kind.fields])
    return kind


def _arrow_rows(name: str, batches: Iterable[Any], share: int = 0) -> Iterator[Row]:
    """`share`: bytes of the file to a row; 0 = as many as the row takes in memory."""
    number = 0
    for batch in batches:
        size = share or batch.nbytes // max(1, batch.num_rows)
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            for cells, fault in _arrow_cells(batch.slice(start, _BATCH_ROWS)):
                yield Row(name, number, cells, fault, size=size)
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


def _txt(file: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[Row]:
    """The file as one row: its text in the first wanted column, its name in the others (the id)."""
    text, *others = wanted
    content = file.read()
    size, lines = len(content), content.count(b"\n") + (content[-1:] not in (b"", b"\n"))
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Row(name, 0, {}, f"not UTF-8: {error}", 0, size, lines)
        return
    stem = Path(name).stem
    yield Row(name, 0, {text: decoded, **dict.fromkeys(others, stem)}, "", 0, size, lines)
