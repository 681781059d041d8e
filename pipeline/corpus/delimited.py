"""Reads CSV, and finds quotes that were never closed: they swallow the rows behind them."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO

from pipeline.contract.errors import DataError
from pipeline.corpus import sizes
from pipeline.corpus.file_format import as_text
from pipeline.corpus.rows import Row, check_columns

_MANY_LINES = 10
"""A record of so many lines, each of which could be a row, is none."""
_SINGLE_SHARE = 0.99
_KEPT_SHAPES = 1000
_UNCLOSED = "a quote is not closed: what follows looks like rows of their own"


def csv_rows(file: IO[bytes], name: str, wanted: Sequence[str]) -> Iterator[Row]:
    """Yields the rows; one whose quote is not closed is a fault, and those behind it are read."""
    csv.field_size_limit(sizes.LARGEST)  # the default is shorter than many documents
    with as_text(file) as text:
        yield from _rows(_Lines(text), name, wanted)


def _rows(lines: _Lines, name: str, wanted: Sequence[str]) -> Iterator[Row]:
    try:
        names = next(csv.reader(lines, strict=True), [])
    except csv.Error as error:
        hint = "the first line names the columns; quotes stand around a whole cell"
        raise DataError(f"{name}: its header is not CSV: {error}", hint) from error
    header = "".join(lines.taken())
    check_columns(wanted, names, name)
    usual = _Usual(len(names), [n for n, column in enumerate(names) if column != wanted[0]])
    for number, record in enumerate(_records(lines, usual)):
        cells, fault = record.cells, record.fault
        if not fault and len(cells) != len(names):
            fault = f"{len(cells)} cells, but the header names {len(names)}"
        if not fault and not "".join(cells).isascii():
            fault = _undecodable(cells)
        cells_by_name = dict(zip(names, cells, strict=False))
        size = record.size + (0 if number else _bytes(header))
        yield Row(name, number, cells_by_name, fault, record.line, size, record.lines)


@dataclass(frozen=True)
class _Record:
    line: int
    """1-based, of its first line."""
    cells: list[str]
    fault: str
    size: int
    lines: int


class _Lines:
    """The lines of a file; those of a record can be given back, to be read again.

    A line that is larger than a document may be is an empty one.
    """

    def __init__(self, text: IO[str]) -> None:
        self._lines: Iterator[str] = self._bounded(text)
        self._taken: list[str] = []
        self.number = 0
        self.left_out = 0
        """Letters of lines that were too large, since they were last asked for."""

    def _bounded(self, text: IO[str]) -> Iterator[str]:
        while line := text.readline(sizes.LARGEST):
            while len(line) == sizes.LARGEST and not line.endswith(("\n", "\r")):
                self.left_out += len(line)
                line = text.readline(sizes.LARGEST)
            yield "\n" if self.left_out else line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line

    def taken(self) -> list[str]:
        """The lines since the last call."""
        taken, self._taken = self._taken, []
        return taken

    def give_back(self, lines: list[str]) -> None:
        self._lines = chain(lines, self._lines)
        self.number -= len(lines)


def _records(lines: _Lines, usual: _Usual) -> Iterator[_Record]:
    reader = csv.reader(lines, strict=True)
    while True:
        first, fault = lines.number + 1, ""
        try:
            cells = next(reader, None)
        except csv.Error as error:
            is_large = "field limit" in str(error)
            cells, fault = [], sizes.too_large() if is_large else f"not CSV: {error}"
        taken = lines.taken()
        if cells is None:
            return
        if len(taken) > 1 and usual.are_rows(taken):
            lines.give_back(taken[1:])
            cells, fault, taken = [], _UNCLOSED, taken[:1]
        elif not fault:
            usual.learn(cells, len(taken))
        size = _bytes("".join(taken))
        if lines.left_out:
            cells, fault, size, lines.left_out = [], sizes.too_large(), lines.left_out, 0
        if cells or fault:
            yield _Record(first, cells, fault, size, len(taken))


class _Usual:
    """What the rows of a file usually look like; by it lines within a record are told for rows."""

    def __init__(self, cells: int, others: list[int]) -> None:
        self._cells = cells
        self._others = others
        """Columns other than the text's."""
        self._shapes: dict[int, Counter[str]] = defaultdict(Counter)
        self._records = self._single = 0

    def learn(self, cells: list[str], lines: int) -> None:
        """Takes a sound record into account."""
        self._records += 1
        self._single += lines == 1
        if lines == 1 and len(cells) == self._cells:
            for column in self._others:
                if len(self._shapes[column]) < _KEPT_SHAPES:
                    self._shapes[column][_shape(cells[column])] += 1

    def are_rows(self, lines: list[str]) -> bool:
        """Whether each line of a record, taken alone, looks like a row of this file."""
        if self._cells == 1:
            # nothing but the length tells; most files hold either many long records or none
            mostly_single = self._single > _SINGLE_SHARE * max(self._records, _MANY_LINES)
            return len(lines) >= _MANY_LINES and mostly_single
        # of the first line the quotes are as good as any letter: one of them is astray
        rows = [*csv.reader(lines[:1], quoting=csv.QUOTE_NONE)]
        rows += [cells for line in lines[1:] for cells in csv.reader([line]) if cells]
        return len(rows) > 1 and all(self._is_row(cells, len(lines)) for cells in rows)

    def _is_row(self, cells: list[str], lines: int) -> bool:
        if len(cells) != self._cells:
            return False
        known = all(_shape(cells[column]) in self._shapes[column] for column in self._others)
        return known or lines >= _MANY_LINES


def _shape(cell: str) -> str:
    """A cell with its letters and digits made alike: "doc-17" → "a-9"."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", cell.strip()))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _undecodable(cells: list[str]) -> str:
    """The fault of cells that hold bytes other than UTF-8; "" if there are none."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return ""
