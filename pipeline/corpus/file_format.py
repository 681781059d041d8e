"""Looks at the first bytes of a file before its suffix is believed or a library opens it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

import pyarrow as pa

from pipeline.contract.files import printable
from pipeline.contract.units import size
from pipeline.corpus.sizes import CountedReader, Unpacked

Kind = Literal["parquet", "arrow", "lines", "array", "csv", "txt", ""]
"""How rows are read; "lines" = a JSON object a line, "array" = a JSON array of objects."""

_HEAD = 65536
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PACKED_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd")
_BY_SUFFIX: dict[str, Kind] = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "array",
    ".parquet": "parquet",
    ".csv": "csv",
    ".arrow": "arrow",
    ".txt": "txt",
}
KNOWN = ", ".join(_BY_SUFFIX)
"""The suffixes of the formats that are read."""
_ROW_KINDS: dict[bytes, Kind] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
}
_STRANGE = {
    b"PK\x03\x04": "a ZIP archive (or an office document); unpack it",
    b"%PDF": "a PDF; take its text out first",
    b"Rar!": "a RAR archive; unpack it",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite format 3": "an SQLite database; export its table",
    b"\x89HDF": "an HDF5 file; export its table",
}
_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_POINTER = b"version https://git-lfs.github.com/spec/"
_TAR_MARK = slice(257, 262)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
_MOST_CONTROL = 0.05
"""A larger share of control characters is no text."""


@dataclass(frozen=True)
class FileFormat:
    """What a file is by its first bytes and, where these leave it open, by its suffix."""

    kind: Kind
    """Empty: not of a format that is read."""
    compression: str = ""
    fault: str = ""
    """Why it cannot be read, in words that follow the file's name; empty if it can."""
    bytes: int = 0
    """Its size; of a Git LFS pointer the size of the file that it stands for."""


def detect_format(file: Path) -> FileFormat:
    """Looks at the first bytes of a file, unpacked where it is compressed.

    Raises:
        OSError: the file cannot be opened.
    """
    with file.open("rb") as raw:
        head, length = raw.read(_HEAD), file.stat().st_size
    compression = next((name for mark, name in _COMPRESSED.items() if head.startswith(mark)), "")
    claimed = claimed_kind(file)
    if compression:
        try:
            with opened(file, compression) as unpacked:
                head = unpacked.read(_HEAD)
        except _DAMAGED as error:
            return FileFormat(
                claimed, compression, f"cannot be read: damaged {compression}: {error}", length
            )
    if head.startswith(_POINTER):
        return _pointer(head, claimed)
    if fault := _fault(head, claimed):
        return FileFormat(claimed, compression, fault, length)
    return FileFormat(_kind(head, claimed, bool(compression)), compression, "", length)


def claimed_kind(file: Path) -> Kind:
    """The format that a file's suffixes promise, that of compression aside."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    while suffixes and suffixes[-1] in _PACKED_SUFFIXES:
        suffixes.pop()
    return _BY_SUFFIX.get(suffixes[-1], "") if suffixes else ""


def is_packed(file: Path) -> bool:
    """Whether the name says that the file is compressed."""
    return file.suffix.lower() in _PACKED_SUFFIXES


def opened(file: Path, compression: str) -> IO[bytes]:
    """Opens a file for reading its bytes, unpacked.

    Who reads more of it than a file of its size can honestly hold meets a DataError.
    """
    openers: dict[str, Callable[[Path], object]] = {
        "": lambda path: path.open("rb"),
        "gzip": gzip.open,
        "bz2": bz2.open,
        "xz": lzma.open,
        "zstd": lambda path: pa.input_stream(str(path), compression="zstd"),
    }
    content = cast(IO[bytes], openers[compression](file))
    if not compression:
        return content
    unpacked = Unpacked(printable(file), file.stat().st_size)
    return io.BufferedReader(CountedReader(content, unpacked))


@contextmanager
def as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    """The file's text, line ends as they are; bytes that are no UTF-8 become lone surrogates."""
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()  # the file is whoever opened it's to close


def _kind(head: bytes, claimed: Kind, packed: bool) -> Kind:
    for mark, kind in _ROW_KINDS.items():
        if head.startswith(mark):
            return kind
    if claimed not in ("lines", "array") and not (packed and not claimed):
        return claimed
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if claimed != "lines":
        return "array" if text.startswith(b"[") else "lines" if _begins_lines(text) else ""
    return "array" if _begins_array(text) else "lines"


def _begins_lines(text: bytes) -> bool:
    """Whether several lines begin, each with an object; a single object is no list of records."""
    return re.match(rb"\{[^\n]*(\}\s*\n\s*\{|$)", text) is not None and b"\n" in text.strip()


def _begins_array(text: bytes) -> bool:
    """Whether "[" begins a list of objects, and not one line that is a list."""
    return re.match(rb"\[\s*(\{|$)", text) is not None


def _fault(head: bytes, claimed: Kind) -> str:
    for mark, description in _STRANGE.items():
        if head.startswith(mark):
            return f"is {description}"
    if head[_TAR_MARK] == b"ustar":
        return "is a tar archive; unpack it"
    if claimed in ("parquet", "arrow") or any(map(head.startswith, _ROW_KINDS)):
        return ""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return f"is {name} text; save it as UTF-8"
    if claimed != "txt" and re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE):
        return "is a web page, not data: the download went wrong"
    return _no_text(head)


def _no_text(head: bytes) -> str:
    nuls = head.count(0)
    if nuls and max(head[::2].count(0), head[1::2].count(0)) > 0.9 * nuls > 0.2 * len(head):
        return "is UTF-16 text without a byte-order mark; save it as UTF-8"
    control = len(head) - len(head.translate(None, _CONTROL))
    return "is no text: it holds binary data" if control > _MOST_CONTROL * len(head) else ""


def _pointer(head: bytes, claimed: Kind) -> FileFormat:
    pointer_size = re.search(rb"^size (\d+)", head, re.MULTILINE)
    whole = int(pointer_size[1]) if pointer_size else 0
    description = (
        f"is a Git LFS pointer to {size(whole)}, not the file itself; `git lfs pull` fetches it"
    )
    return FileFormat(claimed, "", description, whole)
