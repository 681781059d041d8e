"""Text from data never reaches a terminal as commands."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from tui.readers.clean import clean, clean_lines
from tui.terminal import plain

ZOO = [
    "\x1b[2J\x1b[31mred",
    "\x1b]52;c;aGk=\x07",
    "\x9b31m",
    "a\u202egnp.exe",
    "zero\u200bwidth\ufeff",
    "lone \ud800 surrogate",
    "line\u2028separator",
    "nul\x00bell\x07del\x7f",
    "tag\U000e0041",
    "back\x08space\rcarriage",
]
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]")


@pytest.mark.parametrize("hostile", ZOO)
def test_control_characters_become_visible(hostile: str) -> None:
    shown = clean(hostile)
    assert not FORBIDDEN.search(shown)
    assert len(shown) >= len(hostile)
    shown.encode("utf-8")


def test_ordinary_text_is_left_alone() -> None:
    text = "Größe [b]7[/b] — 漢字, naïve e\u0301, 🙂"
    assert clean(text) == text


def test_emoji_take_as_many_cells_as_their_letters_do() -> None:
    for text in ("❤️", "1️⃣", "☺︎", "⚠️ ok", "葛󠄀"):
        shown = clean(text)
        assert cell_len(shown) == sum(map(cell_len, shown))
        assert plain(shown).isascii()
        assert len(plain(shown)) == cell_len(shown)
    for drawn in ("❤️ heart", "👩‍🚀", "é"):  # in a text that is edited they stay
        assert len(plain(drawn)) == cell_len(drawn)


def test_a_storm_of_combining_marks_is_thinned() -> None:
    assert len(clean("a" + "\u0301" * 1000)) == 5


def test_lines_and_tabs() -> None:
    assert clean("a\tb\r\nc") == "a    b⏎c"
    assert clean_lines("a\nb\x1b") == "a\nb␛"


def test_ten_megabytes_without_a_newline_are_cut_first() -> None:
    assert clean("x" * 10_000_000, limit=80) == "x" * 79 + "…"
