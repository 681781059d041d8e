"""Quotes that nobody closed: the rows behind them are found again, and no two are fused."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from pipeline.contract.errors import DataError
from pipeline.corpus.files import file_rows
from pipeline.corpus.rows import Row

WORDS = ["river", "hill", "sea", "miller", "gate", "fog", "bridge", "winter", "apples", "bell"]


def rows(path: Path) -> list[Row]:
    return list(file_rows(path, ("text",), warn=lambda message: None))


def sentence(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=8))


def lines(columns: int) -> list[str]:
    if columns == 1:
        return ["text", *(sentence(n) for n in range(1000))]
    return ["id,text", *(f"doc-{n},{sentence(n)}" for n in range(1000))]


@pytest.mark.parametrize("columns", [1, 2])
def test_a_quote_that_is_never_closed_costs_its_own_row_alone(tmp_path: Path, columns: int) -> None:
    written = lines(columns)
    written[500] = '"' + written[500] if columns == 1 else written[500].replace(",", ',"')
    (tmp_path / "a.csv").write_text("\n".join(written))
    found = rows(tmp_path / "a.csv")
    assert [row.line for row in found if row.fault] == [501]
    assert [row.cells["text"] for row in found if not row.fault] == [
        sentence(n) for n in range(1000) if n != 499
    ]
    assert sum(row.size for row in found) == (tmp_path / "a.csv").stat().st_size


@pytest.mark.parametrize("columns", [1, 2])
def test_rows_between_two_stray_quotes_are_not_fused(tmp_path: Path, columns: int) -> None:
    written = lines(columns)
    written[500] = '"' + written[500] if columns == 1 else written[500].replace(",", ',"')
    written[600] += '"'  # as in: a board of 5 feet 6"
    (tmp_path / "a.csv").write_text("\n".join(written))
    found = rows(tmp_path / "a.csv")
    assert [row.line for row in found if row.fault] == [501]
    assert len(found) == 1000


def test_texts_of_several_lines_stay_whole(tmp_path: Path) -> None:
    texts = [
        "Good day, friend\nGood night, all\n\nSee you, then",
        "a,b\n1,2\n3,4",
        "one\n\n\ntwo",
        'he said "no", twice\nand left, then',
        "\n".join(f"line {n} of the poem" for n in range(40)),
        "",
    ]
    for header in (["id", "text"], ["text"], ["text", "label"], ["title", "text", "n"]):
        file = tmp_path / f"{'-'.join(header)}.csv"
        records = [
            [text if name == "text" else f"{name} {n}" for name in header]
            for n, text in enumerate(texts * 5)
        ]
        with file.open("w", newline="") as target:
            csv.writer(target).writerows([header, *records])
        found = [row for row in rows(file) if row.cells.get("text") or row.fault]
        assert [row.cells["text"] for row in found] == [text for text in texts * 5 if text]
        assert not any(row.fault for row in found)


def test_a_header_that_is_not_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('1,"\n2,"two\n')
    with pytest.raises(DataError, match=r"a\.csv: its header is not CSV: "):
        rows(tmp_path / "a.csv")
