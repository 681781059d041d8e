"""Features of every example on disk: chunks that are mapped into memory, not read.

    store.json          tag, features, and rows and checksum of each chunk
    chunk_<n>.npy       float16 [rows, F], every row of length 1
    lengths_<n>.npy     float32 [rows], what the rows were divided by
    self_<n>.npy        float32 [rows], self-influence

Rows of length 1 neither overflow nor underflow in float16, and their product with a query of length
1 is a cosine. Appending writes new chunks and touches no old one.

Shape legend: N examples, F features.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.contract.errors import MissingResultError
from pipeline.contract.files import read_object, replacing, write_json

Lengths = NDArray[np.float32]

_MEND = "`headwater run index --force` mends it"


@dataclass(frozen=True)
class _Chunk:
    rows: int
    crc32: int


@dataclass(frozen=True)
class _Head:
    """The content of `store.json`."""

    tag: str
    features: int
    chunks: tuple[_Chunk, ...] = ()

    @classmethod
    def read(cls, path: Path) -> _Head | None:
        """What is there, or None."""
        head = read_object(path)
        if head is None:
            return None
        return cls(**{**head, "chunks": tuple(_Chunk(**one) for one in head["chunks"])})


class FeatureStore:
    """An index of features; several readers, one writer."""

    def __init__(self, folder: Path, tag: str, features: int) -> None:
        """Opens what is there under the same tag, else begins anew.

        `tag` says what the features are of; it changes with whatever they come from.
        """
        self.folder = folder
        self._head = _Head(tag, features)
        found = _Head.read(folder / "store.json")
        if found and (found.tag, found.features) == (tag, features):
            self._head = found

    @property
    def tag(self) -> str:
        """What the features are of."""
        return self._head.tag

    @property
    def starts(self) -> list[int]:
        """The first example of each chunk."""
        rows = [chunk.rows for chunk in self._head.chunks]
        return list(accumulate(rows, initial=0))[:-1]

    @property
    def chunks(self) -> int:
        """How many it holds."""
        return len(self._head.chunks)

    @property
    def rows(self) -> int:
        """How many examples it holds."""
        return sum(chunk.rows for chunk in self._head.chunks)

    @property
    def bytes(self) -> int:
        """Size of the features."""
        return 2 * self.rows * self._head.features

    def append(self, features: Tensor, self_influence: Tensor) -> None:
        """Adds examples, float32 [rows, F] and [rows]; they are there when this returns, or not
        at all."""
        number = len(self._head.chunks)
        self.write(number, features, self_influence)
        self.take_in(number)

    def write(
        self,
        number: int,
        features: Tensor,
        self_influence: Tensor,
        place: Callable[[Path], Path] = Path,
    ) -> None:
        """Writes the files of a chunk, which `take_in` adds later; `place`: where a file is written
        that belongs at a path."""
        lengths = torch.linalg.vector_norm(features, dim=1).cpu()
        unit = features.cpu() / lengths.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
        rows = unit.half().numpy()
        columns = {"chunk": rows, "lengths": lengths.numpy(), "self": self_influence.cpu().numpy()}
        for name, values in columns.items():
            with (
                replacing(place(self._path(name, number))) as temporary,
                temporary.open("wb") as file,
            ):
                np.save(file, values)

    def take_in(self, number: int) -> None:
        """Adds the next chunk, whose files are there.

        Raises:
            MissingResultError: they are not, or are damaged.
        """
        rows = self._read(number)
        chunk = _Chunk(len(rows), zlib.crc32(rows.data))
        head = replace(self._head, chunks=(*self._head.chunks, chunk))
        write_json(self.folder / "store.json", asdict(head))
        self._head = head

    def scan(self, query: Tensor) -> tuple[Lengths, Lengths]:
        """Cosine of every example's features with the query's [F], and their lengths; [N] each.

        float16 products summed as torch does on the device at hand; rounded to float16.
        """
        unit = (query / query.norm().clamp_min(torch.finfo(torch.float32).tiny)).half().cpu()
        cosines = [(torch.from_numpy(chunk) @ unit).float().numpy() for chunk in self._chunks()]
        return np.concatenate(cosines), self._column("lengths")

    def self_influence(self) -> Lengths:
        """Every example's [N]."""
        return self._column("self")

    def verify(self, examples: int) -> None:
        """Reads everything once.

        Raises:
            MissingResultError: a chunk is missing or is not what was written, or it does not hold
                so many examples.
        """
        if self.rows != examples:
            raise MissingResultError(
                f"{self.folder} holds {self.rows:,} of {examples:,} examples", _MEND
            )
        for number, chunk in enumerate(self._chunks()):
            if zlib.crc32(chunk.data) != self._head.chunks[number].crc32:
                raise self._damaged(number)

    def _column(self, name: str) -> Lengths:
        return np.concatenate(
            [np.load(self._path(name, number)) for number in range(len(self._head.chunks))]
        )

    def _chunks(self) -> Iterator[NDArray[np.float16]]:
        for number, chunk in enumerate(self._head.chunks):
            rows = self._read(number)
            if rows.shape != (chunk.rows, self._head.features):
                raise self._damaged(number)
            yield rows

    def _read(self, number: int) -> NDArray[np.float16]:
        try:
            # copy on write: torch wants memory that it could write to
            rows: NDArray[np.float16] = np.load(self._path("chunk", number), mmap_mode="c")
        except (OSError, ValueError) as error:
            raise self._damaged(number) from error
        return rows

    def _damaged(self, number: int) -> MissingResultError:
        path = self._path("chunk", number)
        return MissingResultError(f"{path} is damaged", _MEND)

    def _path(self, name: str, number: int) -> Path:
        return self.folder / f"{name}_{number:05}.npy"
