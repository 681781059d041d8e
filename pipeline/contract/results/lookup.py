"""The training examples as a screen looks them up: by index, word or id, a million at once.

File: `scores/lookup.safetensors`, whose tensors `lookup_writer.py` describes. It is mapped into
memory and opens at once. NumPy is imported with this module: a screen imports it when a ranking is
opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.common import readable
from pipeline.contract.results.tensors import open_tensors
from pipeline.contract.run.run_dir import RunDir

Positions = NDArray[np.intp]
"""0-based positions of examples in the corpus."""
Mask = NDArray[np.bool_]
_FACTS = ("source", "row", "chunk", "chunks", "n_tokens", "duplicate_group")
"""Numbers of an example, in the file's names."""
_TENSORS = (
    *_FACTS,
    *("id", "id_at", "text", "text_at", "document"),
    *("word", "word_at", "posting", "posting_at", "relevant", "relevant_at"),
)
_SAMPLE = 128
"""Examples at either end of a corpus whose ids are measured."""
_OFTEN = 128
"""Examples from which on a word counts as a frequent one."""
_BLOCK = 1 << 21
"""Bytes that are searched at once: what is found in them takes several times their memory."""


@dataclass(frozen=True)
class Example:
    """A training example without its text."""

    position: int
    id: str
    document_id: str
    chunk: int
    """0-based position in its document."""
    chunks: int
    n_tokens: int
    group: int
    """Its near-duplicates have the same; -1: none known."""
    source: str
    """File or dataset that it comes from, and the 0-based row there."""
    row: int


class Corpus:
    """Examples, their texts and what they share."""

    def __init__(self, run: RunDir) -> None:
        """Opens the file.

        Raises:
            MissingResultError: there is no such file.
            DamagedResultError: it is not what the scores stage writes.
        """
        self._file = open_tensors(run, "scores", run.lookup, _TENSORS)
        with readable(run, "scores", run.lookup):
            self._sources: list[str] = json.loads(self._file.metadata.get("sources", ""))
        self.n_tokens: NDArray[np.int32] = self._file.array("n_tokens")
        self.groups: NDArray[np.int32] = self._file.array("duplicate_group")
        self._documents = self._file.array("document")

    def __len__(self) -> int:
        return len(self.n_tokens)

    def example(self, position: int) -> Example:
        """One example."""
        facts = [self._number(name, position) for name in _FACTS]
        return self._example(position, *facts)

    def examples(self, positions: NDArray[np.integer]) -> Iterator[Example]:
        """Many examples: as `example`, in a fraction of the time for each."""
        facts = (self._file.array(name)[positions].tolist() for name in _FACTS)
        for position, *values in zip(positions.tolist(), *facts, strict=True):
            yield self._example(position, *values)

    def _example(
        self,
        position: int,
        source: int,
        row: int,
        chunk: int,
        chunks: int,
        n_tokens: int,
        group: int,
    ) -> Example:
        name = self._file.text("id", position)
        return Example(
            position=position,
            id=name,
            document_id=name.rpartition("#")[0] if chunks > 1 else name,
            chunk=chunk,
            chunks=chunks,
            n_tokens=n_tokens,
            group=group,
            source=self._sources[source],
            row=row,
        )

    @cached_property
    def id_length(self) -> int:
        """Bytes of the longest of the first and the last ids: the room that a column needs."""
        count = len(self)
        ends = [(0, min(count, _SAMPLE)), (max(0, count - _SAMPLE), count)]
        parts = [self._file.part("id_at", begin, end + 1) for begin, end in ends]
        return max(int(np.diff(part).max(initial=0)) for part in parts)

    def ids(self) -> list[str]:
        """All ids, in the order of the corpus."""
        joined = self._file.array("id").tobytes()
        ends = pairwise(self._file.array("id_at").tolist())
        return [joined[begin:end].decode("utf-8", "replace") for begin, end in ends]

    def text(self, position: int, limit: int | None = None) -> str:
        """Its text, or the first `limit` bytes of that."""
        return self._file.text("text", position, limit)

    def document(self, position: int) -> Positions:
        """The examples that its document was cut into, itself among them, in their order."""
        same = np.flatnonzero(self._documents == self._documents[position])
        order: Positions = np.argsort(self._file.array("chunk")[same], kind="stable")
        return same[order]

    def duplicates(self, position: int) -> Positions:
        """Its near-duplicates, in the order of the corpus."""
        if self.groups[position] < 0:
            return np.empty(0, np.intp)
        same = np.flatnonzero(self.groups == self.groups[position])
        others: Positions = same[same != position]
        return others

    def relevant(self, prompt: int) -> NDArray[np.int32]:
        """Examples that are known to state the answer to a prompt, by the prompt's number."""
        begin, end = self._file.array("relevant_at")[prompt : prompt + 2]
        positions: NDArray[np.int32] = self._file.array("relevant")[begin:end]
        return positions

    def holding(self, word: str) -> Mask:
        """Which examples [N] hold a word, or one that it is a part of."""
        numbers = self._texts_with("word", word.casefold())
        at, posting = self._file.array("posting_at"), self._file.array("posting")
        begins, ends = at[numbers], at[numbers + 1]
        mask = np.zeros(len(self), bool)
        often = ends - begins > _OFTEN  # each of these at a time, the many rare words together
        for begin, end in zip(begins[often].tolist(), ends[often].tolist(), strict=True):
            mask[self._file.part("posting", begin, end)] = True
        counts = (ends - begins)[~often]
        skipped = np.repeat(begins[~often] - np.cumsum(counts) + counts, counts)
        mask[posting[skipped + np.arange(counts.sum())]] = True
        return mask

    def named(self, part: str) -> NDArray[np.integer]:
        """Examples whose id holds a text."""
        return self._texts_with("id", part)

    def forget_pages(self) -> None:
        """Lets go of the memory that a search took."""
        self._file.forget_pages()

    def _texts_with(self, column: str, part: str) -> NDArray[np.integer]:
        """Which texts of a column hold a text; each once, in their order.

        Letter by letter over all bytes at once: as fast for what stands everywhere as for what
        stands nowhere, which a search from find to find is not. The last letter first: ids begin
        alike.
        """
        letters = np.frombuffer(part.encode("utf-8", "replace"), np.uint8)
        joined, at = self._file.array(column), self._file.array(f"{column}_at")
        last = len(joined) - len(letters) + 1
        if not len(letters) or last <= 0:
            return np.arange(len(at) - 1 if not len(letters) else 0)
        parts = []
        for begin in range(0, last, _BLOCK):
            end, behind = min(begin + _BLOCK, last), len(letters) - 1
            starts = begin + np.flatnonzero(joined[begin + behind : end + behind] == letters[-1])
            for offset in reversed(range(behind)):
                starts = starts[joined[starts + offset] == letters[offset]]
            texts = np.searchsorted(at, starts, side="right") - 1
            whole = texts[starts + len(letters) <= at[texts + 1]]
            parts.append(_distinct(whole).astype(np.int32))
        return _distinct(np.concatenate(parts))

    def _number(self, name: str, position: int) -> int:
        return int(self._file.part(name, position, position + 1)[0])


def _distinct(ascending: NDArray[np.integer]) -> NDArray[np.integer]:
    return ascending[np.diff(ascending, prepend=-1) > 0]
