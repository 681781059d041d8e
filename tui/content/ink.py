"""Text in a few inks, for what is drawn line by line."""

from __future__ import annotations

import re
from typing import Literal, get_args

from rich.cells import cell_len, set_cell_size

Series = Literal["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]
Meaning = Literal["plain", "dim", "strong", "accent", "good", "warn", "bad", "pro", "con", "key"]
Ink = Meaning | Series
SERIES: tuple[Series, ...] = get_args(Series)
"""Inks that are told apart in one chart."""
MARKS = "●■▲◆○□△◇"
"""What stands for each of them where colours do not tell."""
INKS: tuple[Ink, ...] = (*get_args(Meaning), *SERIES)
Part = tuple[str, Ink]
"""Text and its ink. The text is never markup."""

ELLIPSIS = "…"
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_OF_WORD = 2
"""Cells of a word that are left before it is cut."""


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells, ending in … where something was cut."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    return " " * (width - length) + text if right else text + " " * (width - length)


def fit_ends(text: str, width: int) -> str:
    """A name in exactly `width` cells, cut where it tells least: at the ends of its longest words,
    which leaves every number, or else in its middle, which leaves both ends."""
    if cell_len(text) <= width or width < 2:
        return fit(text, width)
    short = _shorter_words(text, width)
    if cell_len(short) <= width:
        return fit(short, width)
    tail = width // 2
    return set_cell_size(text, width - 1 - tail) + ELLIPSIS + set_cell_size(text[::-1], tail)[::-1]


def _shorter_words(text: str, width: int) -> str:
    """The text with the ends of its longest words cut, as far as that goes or is needed."""
    while (over := cell_len(text) - width) > 0:
        word = max(_WORD.finditer(text), key=lambda found: cell_len(found[0]), default=None)
        if word is None or word[0] == text or (cells := cell_len(word[0])) <= _LEAST_OF_WORD + 1:
            break
        kept = set_cell_size(word[0], max(_LEAST_OF_WORD, cells - over - 1))
        text = text[: word.start()] + kept + ELLIPSIS + text[word.end() :]
    return text


def bar(share: float, width: int) -> list[Part]:
    """A progress bar of exactly `width` cells."""
    full = max(0, min(width, round(share * width)))
    return [("━" * full, "accent"), ("─" * (width - full), "dim")]
