"""Small files that hold endless text: documents have a largest size, files unpack only so far."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DataError
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus import sizes
from pipeline.corpus.columnar import written_out
from pipeline.corpus.files import file_rows
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.readers import read_documents
from pipeline.corpus.rows import Row

LARGEST = 1 << 16
HUGE = "x" * (LARGEST + 1)


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "LARGEST", LARGEST)
    monkeypatch.setattr(sizes, "FREE", 4 << 16)
    monkeypatch.setattr(sizes, "MOST_TIMES", 20)


def rows(path: Path, column: str = "text") -> list[Row]:
    return list(file_rows(path, (column,), warn=lambda message: None))


def write_lines(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def write_array(path: Path, texts: list[str]) -> None:
    path.write_text(json.dumps([{"text": text} for text in texts]))


def write_csv(path: Path, texts: list[str]) -> None:
    path.write_text("n,text\n" + "".join(f'1,"{text}"\n' for text in texts))


def write_csv_in_lines(path: Path, texts: list[str]) -> None:
    write_csv(
        path, ["\n".join(text[at : at + 999] for at in range(0, 65537, 999)) for text in texts]
    )


def write_parquet(path: Path, texts: list[str]) -> None:
    pq.write_table(pa.table({"text": texts}), path)


def write_arrow(path: Path, texts: list[str]) -> None:
    table = pa.table({"text": texts})
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", write_lines),
        ("a.csv", write_csv),
        ("b.csv", write_csv_in_lines),
        ("a.parquet", write_parquet),
        ("a.arrow", write_arrow),
    ],
)
def test_a_document_that_is_too_large_is_skipped_and_counted(
    tmp_path: Path, name: str, write: Callable[[Path, list[str]], None]
) -> None:
    write(tmp_path / name, ["first", HUGE, "last"])
    told: list[str] = []
    reading = ReadCounts(strict=False, warn=told.append)
    data = DataSettings(source="local", path=str(tmp_path / name), text_column="text")
    texts = [document.text.strip() for document in read_documents(data, 0, reading)]
    assert texts == ["first", "last"]
    assert (reading.rows, reading.unreadable) == (3, 1)
    assert name in told[0]
    assert "64 KiB" in told[0]


def test_with_an_element_that_is_too_large_the_rest_of_its_array_goes(tmp_path: Path) -> None:
    write_array(tmp_path / "a.json", ["first", HUGE + HUGE, "last"])
    first, rest = rows(tmp_path / "a.json")
    assert first.cells["text"] == "first"
    assert "larger than 64 KiB" in rest.fault
    assert first.size + rest.size == pytest.approx((tmp_path / "a.json").stat().st_size, abs=2)


def test_a_text_file_that_is_too_large_is_one_fault_of_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(HUGE * 3)
    (row,) = rows(tmp_path / "a.txt")
    assert "larger than 64 KiB" in row.fault
    assert row.size == len(HUGE) * 3


def test_a_line_without_an_end_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "' + HUGE * 20)
    (row,) = rows(tmp_path / "a.jsonl")
    assert row.size == (tmp_path / "a.jsonl").stat().st_size


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda raw: pa.compress(raw, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.json"])
def test_a_file_that_unpacks_too_far_is_refused(tmp_path: Path, name: str, suffix: str) -> None:
    line = {"a.jsonl": '{"text": "x"}\n', "a.csv": "x\n", "a.txt": "x", "a.json": '{"text": "x"},'}
    begin = {"a.csv": "text\n", "a.json": "["}.get(name, "")
    raw = (begin + line[name] * (10 * LARGEST // len(line[name]))).encode()
    (tmp_path / (name + suffix)).write_bytes(PACKERS[suffix](raw))
    with pytest.raises(DataError, match="times its size"):
        rows(tmp_path / (name + suffix))


def test_what_packs_well_and_is_not_long_is_read(tmp_path: Path) -> None:
    raw = b'{"text": "x"}\n' * 10000
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress(raw))
    assert len(rows(tmp_path / "a.jsonl.xz")) == 10000


def repeated(count: int, text: str) -> pa.Array:
    numbers = pa.array([0] * count, pa.int32())
    return pa.DictionaryArray.from_arrays(numbers, pa.array([text]))


def conversations(lengths: list[int], text: str) -> pa.Array:
    ends = [sum(lengths[:n]) for n in range(len(lengths) + 1)]
    turns = [pa.array(["user"] * ends[-1]), repeated(ends[-1], text)]
    fields = pa.StructArray.from_arrays(turns, names=["role", "content"])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), fields)


BOMB = """
import resource, sys
from pathlib import Path
from pipeline.contract.errors import DataError
from pipeline.corpus.files import file_rows
resource.setrlimit(resource.RLIMIT_DATA, (3 << 29, 3 << 29))
try:
    print(sum(1 for row in file_rows(Path(sys.argv[1]), (sys.argv[2],), print) if not row.fault))
except DataError as error:
    print(error.message)
"""


@pytest.mark.parametrize("kind", ["parquet", "nested parquet", "arrow", "one row"])
def test_a_few_bytes_that_stand_for_gigabytes_are_refused_in_little_memory(
    tmp_path: Path, kind: str
) -> None:
    text = "x" * (1 << 20)
    column, values = "text", repeated(2400, text)
    if kind in ("nested parquet", "one row"):
        lengths = [1] * 2400 if kind == "nested parquet" else [2400, 1]
        column, values = "messages", conversations(lengths, text)
    table, path = pa.table({column: values}), tmp_path / f"a.{kind.split()[-1]}"
    if kind == "arrow":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        path = tmp_path / "a.parquet"
        pq.write_table(table, path, compression="zstd", store_schema=False)
        assert path.stat().st_size < 10_000
    told = subprocess.run(
        [sys.executable, "-c", BOMB, str(path), column], capture_output=True, text=True, check=True
    ).stdout
    assert "times its size" in told


def test_texts_that_share_their_beginnings_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    texts = ["y" * 300 + str(number) for number in range(400)]
    groups = [texts[:200], texts[200:]]
    schema = pa.schema([("text", pa.string())])
    options = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    with pq.ParquetWriter(tmp_path / "a.parquet", schema, **options) as writer:
        for group in groups:
            writer.write_table(pa.table({"text": group}))
    assert [row.cells["text"] for row in rows(tmp_path / "a.parquet")] == texts


def test_a_column_is_measured_as_it_is_written_out() -> None:
    assert written_out(repeated(50, "abcd")) == 200
    assert written_out(conversations([2, 3], "abcd")) >= 20
    assert written_out(pa.record_batch({"a": repeated(5, "ab"), "b": repeated(5, "c")})) == 15
    assert written_out(repeated(50, "abcd").slice(10, 3)) == 12
