"""Exports tables and ranked examples as CSV, JSON Lines or Parquet."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from pathlib import Path

from pipeline.contract.files import expanded, is_there, replacing, write_csv
from pipeline.contract.run.run_dir import RunDir
from tui.content.rows import Cell, Column, Row

ENDINGS = (".csv", ".jsonl")
_BATCH = 5_000
"""Records that are held at once."""

Record = Mapping[str, object]


class Stopped(Exception):
    """The export was called off."""


def proposed(run: RunDir, name: str, ending: str) -> str:
    """A file among the run's exports that is not there yet; from the current folder where it lies
    in that."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80]
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    path = next(new for one in names if not (new := run.exports / f"{one}{ending}").exists())
    near = os.path.relpath(path)
    return str(path) if near.startswith(os.pardir) else near


def table_fault(text: str, own: Path) -> str:
    """What is wrong with a path to write a table to, or nothing; the folder `own` will be made."""
    return _ending_fault(text, ENDINGS) or path_fault(text, own)


def _ending_fault(text: str, endings: Sequence[str]) -> str:
    return "" if text.strip().endswith(tuple(endings)) else f"ends in {' or '.join(endings)}"


def records_fault(text: str, own: Path) -> str:
    """What is wrong with a path to write records to, or nothing; the folder `own` will be made."""
    return _ending_fault(text, (*ENDINGS, ".parquet")) or path_fault(text, own)


def path_fault(text: str, own: Path | None = None) -> str:
    """What is wrong with a path to write to, or nothing."""
    path = expanded(text.strip())
    if not text.strip():
        return "name a file"
    if is_there(path):
        return "there is something of this name already"
    return (
        ""
        if os.path.isdir(path.parent) or (own and path.absolute().parent == own.absolute())
        else f"there is no folder {path.parent}"
    )


def export_table(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """Writes rows as CSV or JSON Lines, by the path's ending; numbers in full.

    Raises:
        OSError: the file cannot be written.
    """
    names = _names(columns)
    records = (dict(zip(names, map(_value, row.cells), strict=True)) for row in rows)
    write_records(path, dict.fromkeys(names, object), records)


def write_records(path: Path, columns: Mapping[str, type], records: Iterator[Record]) -> None:
    """Writes records as CSV, JSON Lines or Parquet, by the path's ending; whole or not at all.

    Parquet needs to know what the columns hold: str, int, float or bool.

    Raises:
        OSError: the file cannot be written.
    """
    write = {".jsonl": _json_lines, ".parquet": _parquet}.get(path.suffix, _csv)
    with replacing(path) as temporary:
        write(temporary, columns, records)


def _json_lines(path: Path, columns: Mapping[str, type], records: Iterator[Record]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def _csv(path: Path, columns: Mapping[str, type], records: Iterator[Record]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        write_csv(file, list(columns), records)


def _parquet(path: Path, columns: Mapping[str, type], records: Iterator[Record]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(records, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _names(columns: Sequence[Column]) -> list[str]:
    """Unique names: a repeated column name is prefixed with that of the column before it."""
    names: list[str] = []
    for position, column in enumerate(columns):
        name = column.title
        if name in names:
            name = f"{columns[position - 1].title} {name}"
        names.append(name)
    return names


def _value(cell: Cell) -> float | str:
    return cell.text if cell.value is None else cell.value
