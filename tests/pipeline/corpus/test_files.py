"""Local files: five formats, folders of them, and what is said of damage."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DataError
from pipeline.corpus.files import file_rows
from pipeline.corpus.folders import select
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
    chosen = select(tmp_path, "train")
    assert chosen.files == [tmp_path / "a.jsonl"]
    assert chosen.left_out == ["files of other formats: 2 × .gz, 1 × README"]


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
    assert found[":10"].startswith("a quote is not closed")
    good = [row.cells["text"] for row in rows(file) if not row.fault]
    assert good == ["two\nlines", "fine", "swallowed"]


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


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda raw: pa.compress(raw, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.JSON.Zst", "part.gz"])
def test_packed_text_is_read_whatever_its_name_says(tmp_path: Path, packer: str, name: str) -> None:
    write_jsonl(tmp_path / "plain")
    (tmp_path / name).write_bytes(PACKERS[packer]((tmp_path / "plain").read_bytes()))
    (tmp_path / "plain").unlink()
    assert [row.cells["text"] for row in rows(tmp_path)] == TEXTS
    assert [row.cells["text"] for row in rows(tmp_path / name)] == TEXTS


def test_a_packed_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n' * 99)[:-9])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz cannot be read"):
        rows(tmp_path / "a.jsonl.gz")


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.jsonl", write_parquet), ("a.csv", write_arrow_stream), ("a.txt", write_arrow_file)],
)
def test_tables_are_read_under_the_names_of_other_formats(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    assert [row.cells["text"] for row in rows(tmp_path / name)] == TEXTS


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.json.gz"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_as_good_as_lines(tmp_path: Path, name: str, indent: int | None) -> None:
    text = json.dumps([{"text": text, "n": [1, {"text": 2}]} for text in TEXTS], indent=indent)
    raw = b"\xef\xbb\xbf" + text.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    assert [row.cells["text"] for row in rows(tmp_path)] == TEXTS


def test_an_array_longer_than_what_is_read_at_once_gives_every_row_and_byte(
    tmp_path: Path,
) -> None:
    texts = [f"{number} " + "ü" * (number * 97 % 9000) for number in range(300)]
    file = tmp_path / "a.json"
    file.write_text(json.dumps([{"text": text} for text in texts], ensure_ascii=False))
    found = rows(file)
    assert [row.cells["text"] for row in found] == texts
    assert abs(sum(row.size for row in found) - file.stat().st_size) <= 2  # the brackets


def test_the_rest_of_a_broken_array_is_one_fault_of_its_size(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('[{"text": "one"}, {"text": "two"}, {"text": oops}, {"text": "three"}]')
    *good, rest = rows(file)
    assert [row.cells["text"] for row in good] == ["one", "two"]
    assert rest.fault.startswith("not JSON")
    assert rest.size == len('{"text": oops}, {"text": "three"}]')


def test_a_json_file_that_lists_no_records_is_passed_over_in_a_folder(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl")
    (tmp_path / "settings.json").write_text('{\n "text": 1\n}')
    (tmp_path / "one.json").write_text('{"text": "a single object"}')
    assert [row.cells["text"] for row in rows(tmp_path)] == TEXTS
    with pytest.raises(DataError, match=r"one\.json holds no list of records"):
        rows(tmp_path / "one.json")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", lambda path: path.write_text("text,n,text\nraw,1,clean\n")),
        (
            "a.parquet",
            lambda path: pq.write_table(
                pa.table([["raw"], ["clean"]], names=["text", "text"]), path
            ),
        ),
    ],
)
def test_two_columns_of_the_wanted_name_are_refused(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match="has 2 columns 'text'"):
        rows(tmp_path / name)


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_a_key_that_is_there_twice_is_a_fault_of_its_row(tmp_path: Path, suffix: str) -> None:
    lines = ['{"text": "raw", "text": "clean"}', '{"text": "a \\"text\\"", "m": {"text": 1}}']
    joined = "\n".join(lines) if suffix == ".jsonl" else f"[{','.join(lines)}]"
    (tmp_path / f"a{suffix}").write_text(joined)
    twice, fine = rows(tmp_path / f"a{suffix}")
    assert twice.fault == "the key 'text' is there twice"
    assert fine.cells["text"] == 'a "text"'


STRANGERS: dict[str, tuple[bytes, str]] = {
    "pointer.txt": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1048576\n",
        "is a Git LFS pointer to 1.0 MiB, not the file itself",
    ),
    "pointer.parquet": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 2048\n",
        "is a Git LFS pointer to 2.0 KiB",
    ),
    "wide.txt": ("\ufeffsome words".encode("utf-16-le"), "is UTF-16 text; save it as UTF-8"),
    "wide.jsonl": (b'{"text": "x"}'.decode().encode("utf-16-be"), "is UTF-16 text without"),
    "archive.jsonl": (b"PK\x03\x04" + b"\0" * 40, "is a ZIP archive"),
    "page.jsonl": (b"<!DOCTYPE html>\n<html>", "is a web page, not data"),
    "noise.txt": (bytes(range(256)) * 4, "is no text: it holds binary data"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_that_is_something_else_is_told_by_its_first_bytes(
    tmp_path: Path, name: str
) -> None:
    content, told = STRANGERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} {told}"):
        rows(tmp_path / name)
    (row,) = rows(tmp_path)
    assert row.fault.startswith(told)
    assert row.size > 0


def test_rows_tell_the_bytes_and_lines_that_they_take(tmp_path: Path) -> None:
    for name, write in (("a.jsonl", write_jsonl), ("b.csv", write_csv)):
        write(tmp_path / name)
        found, raw = rows(tmp_path / name), (tmp_path / name).read_bytes()
        assert sum(row.size for row in found) == len(raw)
        header = name == "b.csv"
        assert sum(row.lines for row in found) == len(raw.splitlines()) - header
