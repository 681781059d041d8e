"""The span index of a file of examples: their tokens and their case-folded text, each with its
suffix array, mapped into memory.

Made when first needed, and made anew where the examples have changed or a file is damaged, which
is seen by its size and a few blocks; the record is written last.
10 to 12 bytes a token and 5 a letter for int32 arrays.

Shape legend: N symbols, D examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.files import replacing
from pipeline.contract.results.examples import read_example_ids, read_texts, read_tokens
from pipeline.contract.results.spans import (
    SpanIndexRecord,
    read_span_index,
    write_span_index,
)
from pipeline.contract.run.checksums import file_sum, sample_fault
from pipeline.contract.run.run_dir import RunDir
from pipeline.verbatim.suffixes import SuffixIndex, joined, suffix_array

_PARTS = ("tokens", "folded")
_ARRAYS = (
    *(f"{part}{kind}.npy" for part in _PARTS for kind in ("", "_suffixes", "_ends")),
    "counts.npy",
)


@dataclass(frozen=True)
class Searchable:
    """One kind of symbols of the examples."""

    symbols: NDArray[np.unsignedinteger]
    """[N]"""
    index: SuffixIndex
    ends: NDArray[np.int64]
    """[D]: where each example's separator is."""

    def place(self, position: int) -> tuple[int, int]:
        """The example at a position, and the position in it."""
        example = int(np.searchsorted(self.ends, position))
        return example, position - (int(self.ends[example - 1]) + 1 if example else 0)


@dataclass(frozen=True)
class SpanIndex:
    """Both kinds, with the ids of the examples."""

    tokens: Searchable
    folded: Searchable
    counts: NDArray[np.int64]
    """Of each token in the examples; as many as the largest that they hold."""
    ids: list[str]
    built: str
    """Why it was made just now; "" where it was there."""


def folded_bytes(text: str) -> NDArray[np.uint8]:
    """The case-folded text in UTF-8: a letter may fold to several, as "ß" to "ss"."""
    # lone surrogates are kept: a text that a program wrote may hold them
    return np.frombuffer(text.casefold().encode("utf-8", "surrogatepass"), np.uint8)


def open_span_index(run: RunDir, examples: Path) -> SpanIndex:
    """The index of a file of the run's examples, made where there is none that fits.

    Raises:
        MissingResultError: there are no examples.
        DamagedResultError: the examples are damaged.
    """
    ids = read_example_ids(run, examples)
    folder = run.verbatim(examples)
    reason = _fault(folder, examples)
    if reason:
        _build(run, examples, folder)
    tokens, folded = (_opened(folder, part) for part in _PARTS)
    return SpanIndex(tokens, folded, np.load(folder / "counts.npy"), ids, built=reason)


def has_span_index(run: RunDir, examples: Path) -> bool:
    """Whether there is an index that fits a file of the run's examples."""
    return not _fault(run.verbatim(examples), examples)


def _fault(folder: Path, examples: Path) -> str:
    """Why the index cannot be used; "" where it can."""
    record = read_span_index(folder)
    if record is None:
        return "there was no span index"
    now = examples.stat()
    known = (now.st_size, now.st_mtime_ns) == (record.indexed.size, record.indexed_mtime)
    if not known and file_sum(examples) != record.indexed:
        return "the span index was of another corpus"
    for name in _ARRAYS:
        if name not in record.arrays or sample_fault(folder / name, record.arrays[name]):
            return f"{name} of the span index was damaged"
    return ""


def _build(run: RunDir, examples: Path, folder: Path) -> None:
    (folder / "index.json").unlink(missing_ok=True)
    indexed, mtime = file_sum(examples), examples.stat().st_mtime_ns
    symbols = joined(read_tokens(run, examples))
    counts = np.bincount(symbols)[1:]  # without the separators
    _save(folder, "tokens", symbols)
    _save(folder, "folded", joined([folded_bytes(text) for text in read_texts(run, examples)]))
    _save_array(folder / "counts.npy", counts)
    arrays = {name: file_sum(folder / name) for name in _ARRAYS}
    size = sum(one.size for one in arrays.values())
    write_span_index(folder, SpanIndexRecord(indexed, mtime, int(counts.sum()), size, arrays))


def _save(folder: Path, part: str, symbols: NDArray[np.unsignedinteger]) -> None:
    _save_array(folder / f"{part}.npy", symbols)
    _save_array(folder / f"{part}_suffixes.npy", suffix_array(symbols))
    _save_array(folder / f"{part}_ends.npy", np.flatnonzero(symbols == 0))


def _save_array(path: Path, array: NDArray[np.integer]) -> None:
    with replacing(path) as temporary:
        np.save(temporary, array)


def _opened(folder: Path, part: str) -> Searchable:
    symbols, suffixes, ends = (
        np.load(folder / f"{part}{kind}.npy", mmap_mode="r") for kind in ("", "_suffixes", "_ends")
    )
    return Searchable(symbols, SuffixIndex(symbols, suffixes), ends)
