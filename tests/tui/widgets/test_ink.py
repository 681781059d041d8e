"""Texts fitted into cells."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from tui.content.ink import Part, fit_ends
from tui.themes import SIXTEEN
from tui.widgets.lines import Lines


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("trade-057-4", 14, "trade-057-4   "),
        ("trade-057-4", 10, "tra…-057-4"),
        ("instrument-012-aside-1", 16, "ins…-012-aside-1"),
        ("instrument-012-aside-1", 14, "in…-012-asi…-1"),
        ("doc-0001-of-the-second-book", 18, "doc-0001…cond-book"),
        ("第一章第二节", 8, "第 …二节"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_a_name_that_is_too_long_keeps_its_numbers_or_both_ends(
    text: str, width: int, shown: str
) -> None:
    assert fit_ends(text, width) == shown
    assert cell_len(shown) == width


class Colourful(Lines):
    """Every line in three inks."""

    def line(self, index: int, width: int) -> list[Part]:
        return [("one ", "good"), ("two ", "dim"), ("three", "pro")]


class Lists(App[None]):
    def compose(self) -> ComposeResult:
        yield Colourful()

    CSS = ".lines--cursor { text-style: $cursor-line-style; }"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"cursor-line-style": "none"}


async def test_in_sixteen_colours_the_line_in_use_is_of_one_piece() -> None:
    """Swapped with the ground, each ink was a ground of its own: a patchwork."""
    app = Lists()
    app.register_theme(SIXTEEN)
    app.theme = SIXTEEN.name
    async with app.run_test(size=(40, 8)) as pilot:
        rows = app.query_one(Colourful)
        rows.count = 3
        rows.focus()
        await pilot.pause()
        at_cursor, other = ([s.style for s in rows.render_line(y) if s.style] for y in (0, 1))
        assert all(style.reverse for style in at_cursor)
        assert len({style.color for style in at_cursor}) == 1
        assert len({style.color for style in other}) > 2
