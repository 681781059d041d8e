"""CSV files bring back every text that they were written with."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.contract.files import (
    read_json,
    read_text,
    replacing,
    write_csv,
    write_json,
    write_text,
)

HOSTILE = [
    "a\rb",
    "a\r",
    "a\nb",
    "a\r\nb",
    "ends\r\n",
    'a "quote", a comma',
    '"',
    "\0",
    "",
    "\x1b[2J\u2028\x85",
]


@pytest.fixture(params=[0o077, 0o022, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_as_open_as_the_umask_lets_it_be(tmp_path: Path, umask: int) -> None:
    write_text(tmp_path / "new.txt", "text")
    assert mode(tmp_path / "new.txt") == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


@pytest.mark.parametrize("before", [0o600, 0o640, 0o664, 0o444], ids=oct)
def test_a_file_that_is_replaced_stays_as_open_as_it_was(
    tmp_path: Path, umask: int, before: int
) -> None:
    path = tmp_path / "there.txt"
    path.write_text("old")
    path.chmod(before)
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert mode(temporary) == 0o600
    assert (path.read_text(), mode(path)) == ("new", before)


def test_nothing_but_files_decides_how_open_a_file_is() -> None:
    code = re.compile(r"chmod\(\s*0o|0o644")
    wrong = [
        f"{path.name}: {line.strip()}"
        for package in ("pipeline", "tui", "headwater")
        for path in (Path(__file__).parents[3] / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if path.name != "files.py" and code.search(line)
    ]
    assert not wrong


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_any_text_comes_back_as_it_was_written(text: str) -> None:
    rows = [{"name": text, "other": "x"}, {"name": "next", "other": text}]
    file = io.StringIO(newline="")
    write_csv(file, ["name", "other"], rows)
    file.seek(0)
    assert list(csv.DictReader(file)) == rows


def test_lines_end_as_on_unix() -> None:
    file = io.StringIO(newline="")
    write_csv(file, ["name", "score"], [{"name": "a", "score": 0.1}, {"name": "b", "score": None}])
    assert file.getvalue() == "name,score\na,0.1\nb,\n"


@pytest.mark.parametrize("text", ["half \ud83d of a letter", "caf\udce9.jsonl"], ids=ascii)
def test_what_utf8_cannot_hold_is_written_all_the_same(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "a.txt", text)
    assert "\ufffd" in (tmp_path / "a.txt").read_text()
    write_json(tmp_path / "a.json", {text: [text]})
    assert read_json(tmp_path / "a.json") == {text: [text]}


def test_text_of_others_is_read_with_or_without_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree \xc3\xa9")
    assert read_text(tmp_path / "a.toml") == "one\ntwo\nthree é"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("\ufeffone".encode("utf-16-le"), "it is UTF-16 text; save it as UTF-8"),
        ("\ufeffone".encode("utf-32-be"), "it is UTF-32 text"),
        (b"one\ntwo caf\xe9", "line 2 is not UTF-8: byte 0xe9"),
    ],
)
def test_text_that_is_no_utf8_is_told_for_what_it_is(tmp_path: Path, raw: bytes, told: str) -> None:
    (tmp_path / "a.toml").write_bytes(raw)
    with pytest.raises(ValueError, match=told):
        read_text(tmp_path / "a.toml")
