"""Losses are counted in bytes, for a row may be as large as half the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.contract.errors import DataError
from pipeline.contract.results.examples import FileAccount
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.readers import read_documents


def read(folder: Path, **settings: object) -> tuple[ReadCounts, list[str]]:
    said: list[str] = []
    data = DataSettings(source="local", path=str(folder), **settings)  # type: ignore[arg-type]
    reading = ReadCounts(strict=False, warn=said.append)
    list(read_documents(data, 0, reading))
    reading.warn_of_losses()
    return reading, said


def lines(count: int, text: str = "word " * 20) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for _ in range(count))


def test_every_file_has_its_account(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(9) + "\n" + '{"text": ""}\n')
    (tmp_path / "b.txt").write_text("one\ntwo\n")
    (tmp_path / "c.jsonl").write_text(lines(1) + "x" * len(lines(3)))
    reading, _ = read(tmp_path)
    worst, *others = reading.files()
    size = len(lines(4))
    assert worst == FileAccount(str(tmp_path / "c.jsonl"), size, 2, 1, worst.read_share)
    assert worst.read_share == pytest.approx(0.25)
    assert {account.documents for account in others} == {9, 1}
    assert all(account.read_share == 1 for account in others)
    assert reading.lines == 14


def test_one_row_of_half_the_bytes_is_told_as_half(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(500) + "x" * len(lines(500)))
    reading, said = read(tmp_path)
    assert reading.share == pytest.approx(0.5, abs=0.01)
    assert said[1] == "1 of 501 rows are unreadable and were left out"
    assert said[2].startswith("only 50.0% of the corpus's bytes became documents")
    with pytest.raises(DataError, match=r"only 50\.0% .* first fault: .*a\.jsonl:501: not JSON"):
        reading.require_share(0.9)
    reading.require_share(0.4)


def test_rows_without_text_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(1) + '{"text": ""}\n' * 99)
    reading, said = read(tmp_path)
    assert reading.share == 1
    assert said == ["99 of 100 rows are empty and were left out"]


def test_a_pointer_counts_as_the_file_that_it_stands_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(100))
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize {}\n"
    (tmp_path / "b.jsonl").write_text(pointer.format(len(lines(100))))
    assert read(tmp_path)[0].share == pytest.approx(0.5)


def test_sources_that_tell_no_bytes_are_counted_in_rows() -> None:
    from pipeline.corpus.rows import Row

    reading = ReadCounts(strict=False, warn=lambda message: None)
    for number in range(4):
        row = Row("hub/name", number, {})
        reading.count(row)
        if number:
            reading.skip(row, "no text")
    assert reading.share == 0.25
    assert reading.files() == (FileAccount("hub/name", 0, 0, 1, 0.25),)


def test_a_source_without_bytes_is_counted_in_rows() -> None:
    account = FileAccount("some/dataset", 0, 0, 1, 1.0)
    assert account.described() == "100.00% of the rows became 1 document"
