"""What examples are called in lists."""

from __future__ import annotations

import pytest

from pipeline.contract.results.lookup import Example
from tui.content.example_name import example_name


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("doc-12#1", "doc-12#1"),
        ("0123456789abcdef", "books.jsonl row 12"),
        ("0123456789abcdef-2#3", "books.jsonl row 12#3"),
        ("0123456789", "0123456789"),
    ],
)
def test_an_id_that_was_made_of_the_text_gives_way_to_where_it_stands(id: str, name: str) -> None:
    example = Example(0, id, id, 0, 1, 5, -1, "data/books.jsonl", 12)
    assert example_name(example) == name
