"""Lists: what a key sends to the terminal."""

from __future__ import annotations

from textual.app import App, ComposeResult

from tui.content.ink import Part
from tui.widgets.lines import Lines


class Numbers(Lines):
    """Lines that say their number."""

    def line(self, index: int, width: int) -> list[Part]:
        return [(f"line {index}", "plain")]

    def header(self, width: int) -> list[Part]:
        return [("number", "dim")]


class Numbered(App[None]):
    def compose(self) -> ComposeResult:
        yield Numbers()


async def test_moving_the_cursor_within_view_paints_two_lines_again() -> None:
    """Over a slow line, a whole screen a key would lag behind the fingers."""
    app = Numbered()
    async with app.run_test(size=(40, 12)) as pilot:
        rows = app.query_one(Numbers)
        rows.count = 100
        rows.focus()
        await pilot.pause()
        rows.cursor = 3
        assert {region.y - rows.content_offset.y for region in rows._repaint_regions} == {1, 4}
        await pilot.pause()
        assert "▌ line 3" in rows.render_line(4).text


async def test_a_cursor_that_is_set_before_there_is_room_hides_no_line_above_it() -> None:
    app = Numbered()
    async with app.run_test(size=(40, 12)) as pilot:
        rows = app.query_one(Numbers)
        rows.display = False
        await pilot.pause()
        rows.count = 30
        rows.cursor = 1
        rows.display = True
        await pilot.pause()
        assert rows.scroll_offset.y == 0


async def test_a_click_begins_no_selection_of_text() -> None:
    """Lists have none to be selected, and Textual paints the whole screen for each beginning."""
    app = Numbered()
    async with app.run_test(size=(40, 12)) as pilot:
        rows = app.query_one(Numbers)
        rows.count = 100
        await pilot.pause()
        await pilot.mouse_down(rows, offset=(4, 4))
        assert app.screen._select_state is None
        await pilot.click(rows, offset=(4, 4))
        assert rows.cursor == 4 - 1 - rows.content_offset.y
