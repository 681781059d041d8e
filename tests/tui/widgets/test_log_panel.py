"""The log that is open all day: it holds the last lines only, and shows what is true."""

from __future__ import annotations

import re

from textual.app import App, ComposeResult

from tui.widgets.log_panel import _MAX_LINES, LogPanel


class LogApp(App[None]):
    """A log alone."""

    def compose(self) -> ComposeResult:
        yield LogPanel()


def shown(app: LogApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


def lines(first: int, last: int) -> list[str]:
    return [f"line {number:05}" for number in range(first, last)]


async def test_the_end_is_followed_when_old_lines_are_let_go() -> None:
    app = LogApp()
    async with app.run_test(size=(40, 12)) as pilot:
        panel = app.query_one(LogPanel)
        for first in range(0, _MAX_LINES + 300, 100):
            panel.add(lines(first, first + 100))
            await pilot.pause()
            assert f"line {first + 99:05}" in shown(app)


async def test_who_reads_further_up_is_not_moved_when_old_lines_are_let_go() -> None:
    app = LogApp()
    async with app.run_test(size=(40, 12)) as pilot:
        panel = app.query_one(LogPanel)
        panel.add(lines(0, _MAX_LINES))
        await pilot.pause()
        panel.words = "01900"
        await pilot.pause()
        before = re.findall(r"line \d+", shown(app))
        assert "line 01900" in before
        panel.add(lines(_MAX_LINES, _MAX_LINES + 50))
        await pilot.pause()
        assert re.findall(r"line \d+", shown(app)) == before
        panel.add(lines(_MAX_LINES + 50, 2 * _MAX_LINES))  # what was read is let go
        await pilot.pause()
        assert "in 0 lines" in str(panel.border_subtitle)
