"""Braille dots."""

from __future__ import annotations

from tui.content.canvas import Canvas
from tui.content.ink import bar, fit


def test_dots_fall_into_their_cells() -> None:
    canvas = Canvas(2, 1)
    canvas.dot(0, 0)
    canvas.dot(3, 3)
    canvas.dot(99, 99)
    assert canvas.row(0) == "⠁⢀"


def test_a_line_has_no_holes() -> None:
    canvas = Canvas(2, 2)
    canvas.line(0, 0, 3, 7)
    assert all(cell != " " for cell in (canvas.row(0)[0], canvas.row(1)[1]))
    canvas.line(0, 0, 3, 0)
    assert canvas.row(0)[1] != " "


def test_fit_counts_cells_not_letters() -> None:
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("ab", 4, right=True) == "  ab"
    assert fit("ab", 0) == ""


def test_a_bar_is_as_long_as_asked() -> None:
    assert "".join(text for text, _ in bar(0.5, 10)) == "━━━━━─────"
    assert len("".join(text for text, _ in bar(7.0, 10))) == 10
