"""Tables into Parquet files; documents and examples on their way through them in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.contract.files import replacing
from pipeline.corpus.examples import EXAMPLE_SCHEMA

BATCH_ROWS = 512

DOCUMENT_SCHEMA = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("row", pa.int64())]
)


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> None:
    """Writes a table that never lies in memory as a whole; it appears when it is complete."""
    remaining = iter(rows)
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        while batch := list(islice(remaining, BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a table that lies in memory; the file appears when it is complete."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The table in batches, in its order."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=list(columns) if columns else None)


def split_examples(
    path: Path, groups: Sequence[int], held_out: set[str], examples: Path, validation: Path
) -> None:
    """Adds the near-duplicate groups and sends each example to training or to validation."""
    position = EXAMPLE_SCHEMA.get_field_index("duplicate_group")
    done = 0
    with (
        replacing(examples) as training_part,
        replacing(validation) as validation_part,
        pq.ParquetWriter(training_part, EXAMPLE_SCHEMA) as training_writer,
        pq.ParquetWriter(validation_part, EXAMPLE_SCHEMA) as validation_writer,
    ):
        for batch in read_batches(path):
            column = pa.array(groups[done : done + len(batch)], pa.int32())
            table = pa.Table.from_batches([batch]).set_column(position, "duplicate_group", column)
            away = pa.array([name in held_out for name in table["document_id"].to_pylist()])
            training_writer.write_table(table.filter(pc.invert(away)))
            validation_writer.write_table(table.filter(away))
            done += len(batch)
