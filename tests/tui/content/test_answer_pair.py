"""Answers are compared word by word as exact match compares them."""

from __future__ import annotations

import pytest

from pipeline.evaluation.metrics import TextMetrics
from tui.content.answer_pair import differing


def marked(text: str, reference: str) -> list[str]:
    """The pieces that the reference has not."""
    return [words.strip() for words, is_common in differing(text, reference) if not is_common]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Tanner.", "tanner"),
        ("the tanner", "Tanner"),
        ("“Tanner” !", "a tanner"),
        ("It's so", "its SO"),
        ("?!", "?!"),
    ],
)
def test_what_exact_match_takes_for_equal_is_not_marked(text: str, reference: str) -> None:
    assert TextMetrics().score(text, reference)["exact"] == 1
    assert marked(text, reference) == []


@pytest.mark.parametrize(
    ("text", "reference", "differences"),
    [
        ("Tanner. It has been so.", "tanner", ["It has been so."]),
        ("a town by the lake", "a town by the sea", ["lake"]),
        ("the oboe, the flute", "Oboe", ["flute"]),
        ("Tellin, by the quay.", "Tellin", ["by the quay."]),
        ("!?", "?!", ["!?"]),
    ],
)
def test_what_is_not_equal_is_marked(text: str, reference: str, differences: list[str]) -> None:
    assert TextMetrics().score(text, reference)["exact"] == 0
    assert marked(text, reference) == differences


def test_no_letter_is_lost_between_the_pieces() -> None:
    text = "  The  tanner,\tand   more!"
    assert "".join(words for words, _ in differing(text, "a Tanner")) == text
