"""Rows become documents, or are counted as what they are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.errors import DataError
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.readers import Document, cleaned, has_content, read_documents


def local(folder: Path, records: list[Any], **settings: Any) -> DataSettings:
    file = folder / "a.jsonl"
    file.write_text("\n".join(json.dumps(record) for record in records))
    return DataSettings(source="local", path=str(file), **settings)


def read(data: DataSettings) -> tuple[list[Document], ReadCounts, list[str]]:
    said: list[str] = []
    reading = ReadCounts(strict=data.strict, warn=said.append)
    documents = list(read_documents(data, 0, reading))
    reading.warn_of_losses()
    return documents, reading, said


def test_rows_without_text_are_counted_as_empty(tmp_path: Path) -> None:
    texts = ["words", "", "  \n\t", "\x00\x07\x1b", "\u200b\ufeff", None, "\ud800", "."]
    documents, reading, said = read(local(tmp_path, [{"text": text} for text in texts]))
    assert [document.text for document in documents] == ["words", "."]
    assert (reading.rows, reading.empty, reading.unreadable) == (8, 6, 0)
    assert said == ["6 of 8 rows are empty and were left out"]


def test_rows_whose_text_is_no_text_are_named_and_skipped(tmp_path: Path) -> None:
    records = [{"text": "words"}, {"text": 7}, {"text": ["a"]}, {"text": {"b": 1}}]
    documents, reading, said = read(local(tmp_path, records))
    assert len(documents) == 1
    assert reading.unreadable == 3
    assert said[0] == f"skipped {tmp_path}/a.jsonl:2: text is not text but int"
    assert said[-2] == "3 of 4 rows are unreadable and were left out"


def test_the_first_few_unreadable_rows_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    _, reading, said = read(local(tmp_path, [{"text": 0}] * 900 + [{"text": "words"}]))
    assert reading.unreadable == 900
    assert len(said) == 7
    assert said[-2] == "900 of 901 rows are unreadable and were left out"


def test_strict_stops_at_the_first_unreadable_row(tmp_path: Path) -> None:
    data = local(tmp_path, [{"text": "words"}, {"text": 7}], strict=True)
    with pytest.raises(DataError, match=r"a\.jsonl:2: text is not text but int"):
        read(data)


def test_the_limit_counts_rows_and_stops_the_reading(tmp_path: Path) -> None:
    records = [{"text": ""}, {"text": "one"}, {"text": "two"}, {"text": 3}]
    documents, reading, _ = read(local(tmp_path, records, limit=2))
    assert [document.text for document in documents] == ["one"]
    assert reading.rows == 2
    assert reading.unreadable == 0


def test_ids_come_from_the_id_column(tmp_path: Path) -> None:
    ids = ["x", 7, 8.0, 1.5, None, "", True, math.nan, [1]]
    records = [{"text": "a", "k": value} for value in ids]
    documents, _, said = read(local(tmp_path, records, id_column="k"))
    assert [document.id for document in documents] == ["x", "7", "8", "1.5"]
    assert said[0].endswith("a.jsonl:5: k is no id: None")


def test_cleaning_changes_only_what_no_tokenizer_or_file_takes() -> None:
    assert cleaned("a\x00b\ud800c") == "a\ufffdb\ufffdc"
    assert cleaned("one\r\ntwo\rthree\n") == "one\ntwo\nthree\n"
    kept = "  Ünï\tcødé 😀 \x07\u200b\u2028 e\u0301\n\n"
    assert cleaned(kept) == kept


def test_content_is_anything_that_can_be_seen() -> None:
    assert has_content(" \n字")
    assert has_content("\ufffd")
    assert not has_content(" \x00\x1f\x7f\u200b\u2028\xa0")


def test_the_demo_needs_no_files() -> None:
    documents, reading, _ = read(DataSettings(source="demo"))
    assert reading.rows == len(documents) == len({document.id for document in documents})
