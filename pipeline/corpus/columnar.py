"""Reads rows of Parquet and Arrow files, of which a few bytes may stand for very long columns.

A text that is there many times is kept once and named by its number (dictionary encoding). Columns
stay so encoded until it is known how much they take written out, a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corpus import sizes
from pipeline.corpus.rows import Row, check_columns, present
from pipeline.corpus.sizes import Unpacked

_BATCH_ROWS = 1024
_BATCH_BYTES = 32 * 2**20
_MOST_ROWS_WRITTEN_OUT = 16


def parquet_rows(
    path: Path, name: str, wanted: Sequence[str], optional: Sequence[str]
) -> Iterator[Row]:
    """Yields the rows of a Parquet file."""
    packed = path.stat().st_size
    with pq.ParquetFile(path) as file:
        names, metadata, schema = file.schema_arrow.names, file.metadata, file.schema
    check_columns(wanted, names, name)
    columns = present(wanted, optional, names)
    leaves = [schema.column(number) for number in range(len(schema))]
    texts = [
        leaf.path
        for leaf in leaves
        if leaf.physical_type == "BYTE_ARRAY" and leaf.path.split(".")[0] in columns
    ]
    batches = (
        batch
        for group in range(metadata.num_row_groups)
        for batch in _group(path, metadata, group, columns, texts)
    )
    share = packed // max(1, metadata.num_rows)
    yield from _rows(name, batches, Unpacked(name, packed), share)


def _group(
    path: Path, metadata: Any, group: int, columns: list[str], texts: list[str]
) -> Iterator[pa.RecordBatch]:
    """The batches of a row group, texts by their numbers where PyArrow can read them so."""
    done = 0
    usual, fewer = _batch_rows(metadata.row_group(group))
    try:
        with pq.ParquetFile(path, metadata=metadata, read_dictionary=texts) as file:
            for batch in file.iter_batches(usual, row_groups=[group], columns=columns):
                done += batch.num_rows
                yield batch
        return
    except OSError as error:  # of texts that share their beginnings (DELTA_BYTE_ARRAY) it cannot
        if "Not yet implemented" not in str(error):
            raise
    with pq.ParquetFile(path, metadata=metadata) as file:
        for batch in file.iter_batches(fewer, row_groups=[group], columns=columns):
            passed = min(done, batch.num_rows)
            done -= passed
            yield batch.slice(passed)


def _batch_rows(group: Any) -> tuple[int, int]:
    """How many rows make a batch that is not too large for the memory: usually, and where each
    may take as much as all of them in the file.

    Of whole rows, though only some columns are read: PyArrow ends the process where the metadata
    of a column are damaged.
    """
    whole = max(1, group.total_byte_size)
    mean = max(1, whole // max(1, group.num_rows))
    usual = max(1, min(_BATCH_ROWS, _BATCH_BYTES // mean))
    return usual, max(1, min(_MOST_ROWS_WRITTEN_OUT, sizes.LARGEST // whole))


def arrow_rows(
    path: Path, name: str, wanted: Sequence[str], optional: Sequence[str]
) -> Iterator[Row]:
    """Yields the rows of an Arrow stream, as `datasets` writes it, or of a random-access file."""
    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
            batches: Iterable[Any] = reader
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(source)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        check_columns(wanted, reader.schema.names, name)
        columns = present(wanted, optional, reader.schema.names)
        sound = (_sound(batch.select(columns)) for batch in batches)
        yield from _rows(name, sound, Unpacked(name, path.stat().st_size))


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


def _rows(name: str, batches: Iterable[Any], unpacked: Unpacked, share: int = 0) -> Iterator[Row]:
    """`share`: bytes of the file to a row; 0 = as many as the row takes in memory."""
    number = 0
    for batch in batches:
        size = share or batch.nbytes // max(1, batch.num_rows)
        for part in _parts(batch):
            for cells, fault in _cells(part, unpacked):
                yield Row(name, number, cells, fault, size=size)
                number += 1


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in its order, halved until each part is small enough or a single row."""
    most = min(_BATCH_BYTES, sizes.LARGEST)
    if batch.num_rows <= 1 or (batch.num_rows <= _BATCH_ROWS and written_out(batch) <= most):
        yield batch
        return
    half = batch.num_rows // 2
    yield from _parts(batch.slice(0, half))
    yield from _parts(batch.slice(half))


def written_out(array: Any) -> int:
    """Bytes that a batch or a column takes, a text that is named by its number each time."""
    if isinstance(array, pa.RecordBatch):
        return sum(map(written_out, array.columns))
    if pa.types.is_dictionary(array.type):
        texts = array.dictionary
        if not (pa.types.is_binary(texts.type) or pa.types.is_string(texts.type)):
            return int(array.nbytes)
        lengths = pc.binary_length(texts).take(array.indices)
        return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return written_out(array.flatten())
    if pa.types.is_struct(array.type):
        return sum(map(written_out, array.flatten()))
    return int(array.nbytes)


def _cells(part: pa.RecordBatch, unpacked: Unpacked) -> Iterator[tuple[dict[str, object], str]]:
    """Yields (cells, fault) of each row of a batch."""
    whole = written_out(part)
    unpacked.add(whole)
    if whole > sizes.LARGEST:  # a single row, see `_parts`
        yield {}, sizes.too_large()
        return
    written = pa.RecordBatch.from_arrays(
        [
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            for column in part.columns
        ],
        names=part.schema.names,
    )
    try:
        yield from ((cells, "") for cells in written.to_pylist())
    except UnicodeDecodeError:  # again row by row, so that only the faulty row is lost
        for number in range(written.num_rows):
            try:
                yield written.slice(number, 1).to_pylist()[0], ""
            except UnicodeDecodeError as error:
                yield {}, f"not UTF-8: {error}"
