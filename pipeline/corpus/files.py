"""Reads rows of local files, a batch at a time: JSON, Parquet, CSV, Arrow, plain text."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from pipeline.contract.errors import DataError
from pipeline.contract.files import printable
from pipeline.corpus import sizes
from pipeline.corpus.columnar import arrow_rows, parquet_rows
from pipeline.corpus.delimited import csv_rows
from pipeline.corpus.file_format import KNOWN, FileFormat, detect_format, opened
from pipeline.corpus.folders import select
from pipeline.corpus.rows import Row, check_columns
from pipeline.corpus.values import json_elements, json_object


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
        yield from parquet_rows(file, name, wanted, optional)
    elif detected.kind == "arrow":
        yield from arrow_rows(file, name, wanted, optional)
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
    for number, (line, size) in enumerate(sizes.bounded_lines(file)):
        if size > sizes.LARGEST:
            yield Row(name, number, {}, sizes.too_large(), number + 1, size, 1)
        if not line.strip():
            continue
        record, fault = json_object(line, wanted)
        if not fault and not known:
            check_columns(wanted, record, f"{name}:{number + 1}")
            known = True
        if missing := [key for key in wanted if not fault and key not in record]:
            fault = f"no key {missing[0]!r}; there are: {', '.join(record)}"
        yield Row(name, number, record, fault, number + 1, size, 1)


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


def _txt(file: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[Row]:
    """The file as one row: its text in the first wanted column, its name in the others (the id)."""
    text, *others = wanted
    content = file.read(sizes.LARGEST + 1)
    if len(content) > sizes.LARGEST:
        yield Row(name, 0, {}, sizes.too_large(), 0, len(content) + sizes.rest(file))
        return
    size, lines = len(content), content.count(b"\n") + (content[-1:] not in (b"", b"\n"))
    try:
        decoded = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Row(name, 0, {}, f"not UTF-8: {error}", 0, size, lines)
        return
    stem = Path(name).stem
    yield Row(name, 0, {text: decoded, **dict.fromkeys(others, stem)}, "", 0, size, lines)
