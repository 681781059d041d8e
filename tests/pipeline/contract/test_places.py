"""Where a text was read, for reading."""

from __future__ import annotations

import pytest

from pipeline.contract.places import place, place_of


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/home/someone/with/folders/one/below/another/books.jsonl", "books.jsonl row 12"),
        ("Skylion007/openwebtext", "openwebtext row 12"),
        ("demo", "demo row 12"),
    ],
)
def test_a_place_is_told_by_its_end(source: str, told: str) -> None:
    assert place(source, 12) == told


def test_scores_of_old_name_no_place() -> None:
    assert place_of({"source": "a/b.txt", "row": 0}) == "b.txt row 0"
    assert place_of({"example_id": "b"}) == ""
