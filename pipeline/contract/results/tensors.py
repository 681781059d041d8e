"""A safetensors file on disk: what is not looked at is never read.

Whole tensors come as memory maps. Single values and texts are read one by one: a map would make
much of the file around each of them resident.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.common import damaged, readable
from pipeline.contract.run.run_dir import RunDir

_LENGTH_BYTES = 8
_TYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "u1",
}


def open_tensors(run: RunDir, stage: str, path: Path, names: Collection[str] = ()) -> TensorFile:
    """Opens a safetensors file of a stage that holds the tensors of these names.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it is no safetensors file, is cut short, or lacks a tensor.
    """
    with readable(run, stage, path):
        file = TensorFile(path)
    for name in names:
        if name not in file:
            raise damaged(run, stage, path, f"there is no tensor {name}")
    return file


class TensorFile:
    """The tensors of a file by name, as read-only arrays that lie on disk.

    The library's own reader copies what it reads, and its NumPy side knows no bfloat16.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: it is not a safetensors file.
        """
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            size = path.stat().st_size
            if not 0 < length <= size - _LENGTH_BYTES:
                raise ValueError("it is not a safetensors file")
            header = json.loads(file.read(length))
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self._begin = _LENGTH_BYTES + length
        if not isinstance(header, dict):
            raise ValueError("its header is not an object")
        metadata = header.pop("__metadata__", {})
        self._header = _tensors(header, size - self._begin)
        self.metadata: dict[str, str] = metadata if isinstance(metadata, dict) else {}

    def __contains__(self, name: str) -> bool:
        return name in self._header

    def array(self, name: str) -> NDArray[Any]:
        """A tensor. bfloat16 comes as the upper halves of float32: see `floats`.

        Raises:
            KeyError: the file has no such tensor.
        """
        entry = self._header[name]
        kind = np.dtype(_TYPES[entry.dtype])
        flat = np.frombuffer(self._map, kind, math.prod(entry.shape), self._begin + entry.begin)
        return flat.reshape(entry.shape)

    def floats(self, name: str, *indices: int) -> NDArray[np.float32]:
        """A part of a tensor of floats: `indices` are the first ones."""
        part = np.asarray(self.array(name)[indices])
        if self._header[name].dtype == "BF16":
            return (part.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return part.astype(np.float32, copy=False)

    def part(self, name: str, begin: int, end: int) -> NDArray[Any]:
        """Values of a tensor [N], from one to before another."""
        kind = np.dtype(_TYPES[self._header[name].dtype])
        return np.frombuffer(self._bytes(name, begin * kind.itemsize, end * kind.itemsize), kind)

    def text(self, name: str, index: int, limit: int | None = None) -> str:
        """A text of a column of texts, or its first `limit` bytes."""
        begin, end = self.part(f"{name}_at", index, index + 2).tolist()
        if limit is not None:
            end = min(end, begin + limit)
        return self._bytes(name, begin, end).decode("utf-8", "replace")

    def _bytes(self, name: str, begin: int, end: int) -> bytes:
        first = self._begin + self._header[name].begin + begin
        return os.pread(self._descriptor, end - begin, first)

    def forget_pages(self) -> None:
        """Lets go of the memory that looking took; the system keeps what it has room for."""
        self._map.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class _Tensor:
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """Bytes after the header."""


def _tensors(header: Mapping[str, Any], room: int) -> dict[str, _Tensor]:
    """What the header says of every tensor, checked against the bytes that follow it.

    Raises:
        ValueError: names the first tensor that cannot be.
    """
    tensors: dict[str, _Tensor] = {}
    for name, entry in header.items():
        try:
            kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            sizes = tuple(int(side) for side in shape)
            fits = 0 <= int(begin) <= int(end) <= room and min(sizes, default=0) >= 0
            whole = end - begin == math.prod(sizes) * np.dtype(_TYPES[kind]).itemsize
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"tensor {name} is described in no known way") from error
        if not (fits and whole):
            raise ValueError(f"tensor {name} does not lie in the file as its header says")
        tensors[name] = _Tensor(kind, sizes, int(begin))
    return tensors
