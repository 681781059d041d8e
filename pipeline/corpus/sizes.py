"""How large a document may be, and how far a file may unpack: small files can hold endless text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from pipeline.contract.errors import DataError
from pipeline.contract.units import size

LARGEST = 1 << 28
"""Bytes of one document; one that is larger is a fault of its row."""
FREE = 1 << 30
"""Bytes that any file may unpack to, however small it is."""
MOST_TIMES = 1000
"""No text that somebody wrote packs better."""
_PIECE = 1 << 20


def too_large() -> str:
    """The fault of a document that is larger than any may be."""
    return f"larger than {size(LARGEST)}, the most that one document may have; split it"


class Unpacked:
    """Counts what a file unpacks to, and refuses one that never seems to end."""

    def __init__(self, name: str, packed: int) -> None:
        self._name = name
        self._left = max(FREE, MOST_TIMES * packed)

    def add(self, count: int) -> None:
        """Takes so many bytes into account.

        Raises:
            DataError: they are more than any honest file unpacks to.
        """
        self._left -= count
        if self._left < 0:
            raise DataError(
                f"{self._name} unpacks to more than {size(FREE)} and {MOST_TIMES:,} times its size",
                "that is no text that somebody wrote: remove the file",
            )


class CountedReader(io.RawIOBase):
    """What is read of an unpacked file, counted."""

    def __init__(self, file: IO[bytes], unpacked: Unpacked) -> None:
        self._file, self._unpacked = file, unpacked

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads into the buffer; how many bytes that were."""
        read = self._file.read(len(buffer))
        self._unpacked.add(len(read))
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        """Closes the file, too."""
        self._file.close()
        super().close()


def bounded_lines(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yields each line and its size; of one that is larger than a document may be no letter."""
    while line := file.readline(LARGEST + 1):
        if len(line) <= LARGEST:
            yield line, len(line)
        elif line.endswith(b"\n"):
            yield b"", len(line)
        else:
            yield b"", len(line) + _rest_of_line(file)


def _rest_of_line(file: IO[bytes]) -> int:
    passed = 0
    while piece := file.readline(_PIECE):
        passed += len(piece)
        if piece.endswith(b"\n"):
            break
    return passed


def rest(file: IO[bytes]) -> int:
    """How many bytes are left in a file; they are read and dropped."""
    return sum(len(piece) for piece in iter(lambda: file.read(_PIECE), b""))
