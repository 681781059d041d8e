"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

Json = dict[str, Any]  # Any: a JSON object before its types are checked


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; on success it is synced and renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text; readers see the old file or the new one, never a part."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file, or gives None where there is none or it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return None


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
    """Writes a header and rows as CSV with Unix line ends; `file` is opened with newline=""."""
    # The writer quotes the characters of its own line end alone. With "\n" it would leave a lone
    # "\r" bare, at which every reader ends the row.
    writer = csv.DictWriter(_UnixLines(file), list(columns))
    writer.writeheader()
    writer.writerows(rows)
