"""The line that names the pages of a screen."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tests.tui.watching import screen_text
from tui.widgets.page_bar import Leaf, PageBar

TITLES = ("Settings", "Results", "Rankings", "Curves", "Answers")


class Pages(App[None]):
    """The pages of Compare."""

    turned: int | None = None

    def __init__(self, counts: tuple[int, ...]) -> None:
        super().__init__()
        self._leaves = [
            Leaf(str(n), t, c) for n, (t, c) in enumerate(zip(TITLES, counts, strict=True), 1)
        ]

    def compose(self) -> ComposeResult:
        bar = PageBar()
        bar.leaves, bar.shown = tuple(self._leaves), 4
        yield bar

    def on_page_bar_turned(self, event: PageBar.Turned) -> None:
        self.turned = event.page


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (
            (2, 3, 6, 2, 6),
            "1 Settings 2     2 Results 3     3 Rankings 6     4 Curves 2    ▌5 Answers 6",
        ),
        ((12, 10, 1050, 2, 1050), "3 Rankings 1,050   4 Curves 2  ▌5 Answers 1,050"),
        ((1200, 1000, 1050, 20, 1050), "1 Settings   2 Results   3 Rankings   4 Curves  ▌5 Answ"),
    ],
)
async def test_every_page_is_named_and_the_shown_ones_count_is_whole(
    counts: tuple[int, ...], told: str
) -> None:
    app = Pages(counts)
    async with app.run_test(size=(80, 24)) as pilot:
        line = screen_text(app).splitlines()[0]
        assert told in line
        assert f"5 Answers {counts[-1]:,}" in line
        await pilot.click(PageBar, offset=(line.index("Curves"), 0))
        assert app.turned == 3
