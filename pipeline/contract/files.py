"""Files that appear whole or not at all."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

Json = dict[str, Any]  # Any: a JSON object before its types are checked
NO_FILE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EINVAL, errno.ENXIO),  # a pipe, a socket
}
"""What the system says where there is no regular file at a path."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets compute (OWASP, CSV Injection)."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on success it is synced and renamed over `path`.

    Until then only its owner can read it, and after that who could read the file that it replaces.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = mode_for(path, path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_below(folder: Path) -> None:
    """Sees to it that all files of a folder, which a library has written, are on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            sync(path)


def sync(path: Path) -> None:
    """Sees to it that a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def mode_for(replaced: Path, folder: Path) -> int:
    """The mode of the file that is to be replaced, else that which a new one in the folder gets."""
    with suppress(OSError):
        status = replaced.stat()
        if stat.S_ISREG(status.st_mode):
            return status.st_mode & 0o777
    # made and looked at: the umask cannot be asked for without changing it for every thread
    probe = folder / f".mode.{os.urandom(8).hex()}"
    handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        return os.fstat(handle).st_mode & 0o777
    finally:
        os.close(handle)
        probe.unlink()


def expanded(text: str) -> Path:
    """The path that a person wrote, ~ being their home. The home of nobody is left as it is."""
    return Path(os.path.expanduser(text))


def is_there(path: Path) -> bool:
    """Whether there is something; no, where a name is too long or a folder not ours to see."""
    return os.path.exists(path)


def writable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: half a character, which nothing can encode."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def printable(path: Path | str) -> str:
    """A path for a message or a table: bytes of its name that are no UTF-8 become U+FFFD."""
    return writable(str(path))


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text; readers see the old file or the new one, never a part.

    What UTF-8 cannot hold becomes U+FFFD.
    """
    with replacing(path) as temporary:
        temporary.write_text(writable(text), encoding="utf-8")


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON that UTF-8 can hold and that reads back as the very same value.

    Lone surrogates, as in names of files that are no UTF-8, are written as escapes.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return json.dumps(value, indent=indent) if _SURROGATE.search(text) else text


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, whole or not at all."""
    write_text(path, json_text(value, indent=2) + "\n")


def lenient_output() -> None:
    """Lets this process print any text: what the locale's encoding lacks is written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading that may be of any kind: a pipe in its place would be waited for.

    Raises:
        OSError: there is no such file, or it is a folder, a pipe or a device.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def is_file_name(text: str) -> bool:
    """Whether it names something in a folder, and nothing above, below or elsewhere."""
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text


def read_text(path: Path) -> str:
    """Reads text that somebody else wrote: UTF-8, with or without a byte-order mark.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is not UTF-8; says what it is, or at which byte it is not.
    """
    with open_regular(path) as file:
        raw = file.read()
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            raise ValueError(f"it is {name} text; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise ValueError(
            f"line {line} is not UTF-8: byte 0x{byte:02x}; save it as UTF-8"
        ) from error


def read_json(path: Path) -> Any:
    """Reads a JSON file, or gives None where there is none or it is not JSON.

    Raises:
        OSError: there is a file, but the permission or the disk is not good.
    """
    try:
        with open_regular(path) as file:
            return json.loads(file.read().decode())
    except OSError as error:
        if error.errno in NO_FILE:
            return None
        raise
    except (ValueError, RecursionError):  # numbers too long and lists too deep among them
        return None


def read_object(path: Path) -> Json | None:
    """As `read_json`, or gives None where it is not an object."""
    value = read_json(path)
    return value if isinstance(value, dict) else None


def append_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Appends one line a value; a line torn by a killed process does not spoil the next one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write("".join(f"\n{json.dumps(value)}" for value in values).encode())


def read_json_lines(path: Path) -> Iterator[Any]:
    """The lines that were written whole; none where there is no file."""
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # the line at which a killed process stopped, or an empty one


class _UnixLines:
    """A file to which lines that end with "\\r\\n" are written with "\\n"."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Writes one line."""
        return self._file.write(line.removesuffix("\r\n") + "\n")


def write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Writes a header and rows as CSV with Unix line ends; `file` is opened with newline="".

    Text that a spreadsheet would run as a formula has a "'" before it.
    """
    import csv

    # The writer quotes the characters of its own line end alone. With "\n" it would leave a lone
    # "\r" bare, at which every reader ends the row.
    writer = csv.DictWriter(_UnixLines(file), list(columns))
    writer.writeheader()
    writer.writerows({key: _no_formula(cell) for key, cell in row.items()} for row in rows)


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
