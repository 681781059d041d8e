"""The first line of a screen."""

from __future__ import annotations

from textual.app import App, ComposeResult

from tests.tui.watching import screen_text
from tui.widgets.banner import Banner


class OneLine(App[None]):
    """A banner alone."""

    def compose(self) -> ComposeResult:
        yield Banner()


async def test_however_long_the_standing_it_is_apart_from_the_trail() -> None:
    app = OneLine()
    async with app.run_test(size=(80, 3)) as pilot:
        banner = app.query_one(Banner)
        banner.trail = ("demo", "ask")
        banner.standing = (
            "● index running · losses to compare prompts with · 200 of 200",
            "accent",
        )
        await pilot.pause()
        assert " headwater › demo › ask ● index running" in screen_text(app)
