"""CSV files bring back every text that they were written with."""

from __future__ import annotations

import csv
import io

import pytest

from pipeline.contract.files import write_csv

HOSTILE = [
    "a\rb",
    "\r",
    "a\nb",
    "a\r\nb",
    "ends\r\n",
    'a "quote", a comma',
    '"',
    "\0",
    "",
    "\x1b[2J\u2028\x85",
]


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
