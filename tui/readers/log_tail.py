"""The end of a log file, and then what is added to it."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.files import open_regular
from tui.readers.clean import clean

_FIRST_LOOK_BYTES = 128 << 10
_LINE_CHARACTERS = 2000


class LogTail:
    """Gives a log's last lines, then the new ones; a line without an end is held back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset: int | None = None
        self._torn = b""

    def read(self) -> list[str]:
        """Lines that are new since the last call, harmless to show."""
        try:
            size = self._path.stat().st_size
            if (
                self._offset is None
                or size < self._offset
                or size - self._offset > _FIRST_LOOK_BYTES
            ):
                self._offset, self._torn = max(0, size - _FIRST_LOOK_BYTES), b""
            with open_regular(self._path) as file:
                file.seek(self._offset)
                chunk = file.read(_FIRST_LOOK_BYTES)
        except OSError:
            return []
        self._offset += len(chunk)
        *lines, torn = (self._torn + chunk).split(b"\n")
        self._torn = torn[-_FIRST_LOOK_BYTES:]
        return [_readable(line) for line in lines]


def _readable(line: bytes) -> str:
    """What a terminal would have left of the line: progress bars rewrite it after each return."""
    last = line.rstrip(b"\r").rpartition(b"\r")[2]
    return clean(last.decode("utf-8", "replace"), _LINE_CHARACTERS)
