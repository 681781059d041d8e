"""Local files: five formats, folders of them, and what is said of damage."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DataError
from pipeline.corpus.files import corpus_files, file_rows
from pipeline.corpus.rows import Row

TEXTS = ["one", "zwei\nlines", "三, with a comma", 'a "quoted" word']


def write_jsonl(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"text": text, "n": 1}) for text in TEXTS))


def write_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", "text"], *(["1", text] for text in TEXTS)])


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table({"n": range(4), "text": TEXTS}), path)


def write_arrow_stream(path: Path) -> None:
    table = pa.table({"n": range(4), "text": TEXTS})
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


def write_arrow_file(path: Path) -> None:
    table = pa.table({"n": range(4), "text": TEXTS})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


def rows(path: Path, *wanted: str) -> list[Row]:
    return list(file_rows(path, wanted or ("text",), warn=lambda message: None))


def faults(path: Path) -> dict[str, str]:
    return {row.location.removeprefix(str(path)): row.fault for row in rows(path) if row.fault}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", write_jsonl),
        ("a.csv", write_csv),
        ("a.parquet", write_parquet),
        ("a.arrow", write_arrow_stream),
        ("b.arrow", write_arrow_file),
    ],
)
def test_every_format_gives_the_same_rows_in_order(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    read = rows(tmp_path / name)
    assert [row.cells["text"] for row in read] == TEXTS
    assert [row.number for row in read] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", write_jsonl),
        ("a.csv", write_csv),
        ("a.parquet", write_parquet),
        ("a.arrow", write_arrow_stream),
    ],
)
def test_a_missing_column_is_an_error_that_lists_the_columns(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=r"has no column 'body'; there are: ") as raised:
        rows(tmp_path / name, "body")
    assert {"text", "n"} <= set(raised.value.message.split("are: ")[1].split(", "))


def test_a_text_file_is_one_document_whatever_the_column_is_called(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("\ufeffroses\n\nviolets\n")
    (row,) = rows(tmp_path / "poem.txt", "body", "id")
    assert row.cells == {"body": "roses\n\nviolets\n", "id": "poem"}


def test_a_folder_mixes_formats_in_name_order_and_passes_over_hidden_files(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "b.jsonl")
    (tmp_path / "c").mkdir()
    write_parquet(tmp_path / "c" / "part.PARQUET")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / ".hidden.txt").write_text("never")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.txt").write_text("never")
    assert [row.cells["text"] for row in rows(tmp_path)] == ["first", *TEXTS, *TEXTS]


def test_files_of_other_formats_are_named_in_a_warning(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl")
    for name in ("b.json.gz", "c.json.gz", "README"):
        (tmp_path / name).write_text("?")
    said: list[str] = []
    assert corpus_files(tmp_path, said.append) == [tmp_path / "a.jsonl"]
    assert "2 × .gz" in said[0]
    assert "1 × README" in said[0]


def test_nothing_to_read_is_an_error_that_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is empty"):
        rows(tmp_path)
    (tmp_path / "a.docx").write_text("?")
    with pytest.raises(DataError, match=r"known format \(\.jsonl, .*there are: 1 × \.docx"):
        rows(tmp_path)
    with pytest.raises(DataError, match=r"unknown format '\.docx'; known: \.jsonl"):
        rows(tmp_path / "a.docx")
    with pytest.raises(DataError, match="there is no file or folder"):
        rows(tmp_path / "nowhere")


def test_unreadable_json_lines_are_found_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    file.write_bytes(
        b'\xef\xbb\xbf{"text": "good"}\n'
        b'{"text": "torn\n'
        b"\n"
        b'{"text": "caf\xe9"}\n'
        b'["text"]\n'
        b'{"body": "elsewhere"}\n' + b"[" * 100_000 + b"\n"
        b'{"text": "last"}'
    )
    found = faults(file)
    assert list(found) == [":2", ":4", ":5", ":6", ":7"]
    assert found[":2"].startswith("not JSON")
    assert found[":4"].startswith("not UTF-8")
    assert found[":5"] == "not a JSON object"
    assert found[":6"] == "no key 'text'; there are: body"
    good = [row.cells["text"] for row in rows(file) if not row.fault]
    assert good == ["good", "last"]


def test_a_first_line_that_is_not_json_does_not_hide_a_missing_column(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('oops\n{"body": "x"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2 has no column 'text'; there are: body"):
        rows(tmp_path / "a.jsonl")


def test_unreadable_csv_records_are_found_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "zoo.csv"
    file.write_bytes(
        b"n,text\n"
        b'1,"two\nlines"\n'
        b"2,an unquoted, comma\n"
        b"3\n"
        b"\n"
        b"4,caf\xe9\n"
        b'5,"closed" too early\n'
        b"6,fine\n"
        b'7,"never closed\n'
        b"8,swallowed\n"
    )
    found = faults(file)
    assert list(found) == [":4", ":5", ":7", ":8", ":10"]
    assert found[":4"] == "3 cells, but the header names 2"
    assert found[":5"] == "1 cells, but the header names 2"
    assert found[":7"] == "not UTF-8"
    assert found[":8"].startswith("not CSV")
    assert found[":10"].startswith("not CSV")
    assert [row.cells["text"] for row in rows(file) if not row.fault] == ["two\nlines", "fine"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_cell_that_is_not_utf8_costs_only_its_row(tmp_path: Path, suffix: str) -> None:
    cells = pa.array([b"good", b"caf\xe9", b"fine"], pa.binary()).view(pa.string())
    table = pa.table({"text": cells})
    if suffix == ".parquet":
        pq.write_table(table, tmp_path / "a.parquet")
    else:
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
            writer.write_table(table)
    file = tmp_path / f"a{suffix}"
    assert list(faults(file)) == [" row 1"]
    assert [row.cells["text"] for row in rows(file) if not row.fault] == ["good", "fine"]


def test_a_text_file_that_is_not_utf8_is_one_unreadable_row(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (row,) = rows(tmp_path)
    assert row.fault.startswith("not UTF-8")


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write = write_parquet if name == "a.parquet" else write_arrow_stream
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for size in (0, 10, len(whole) - 40):
        (tmp_path / name).write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            rows(tmp_path / name)


def test_reading_is_lazy_so_a_limit_never_touches_what_lies_behind_it(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl")
    (tmp_path / "b.parquet").write_text("not Parquet at all")
    read = file_rows(tmp_path, ("text",), warn=lambda message: None)
    assert [next(read).cells["text"] for _ in TEXTS] == TEXTS
    with pytest.raises(DataError, match=r"b\.parquet cannot be read"):
        next(read)
