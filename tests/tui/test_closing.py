"""A screen that is being closed loses its widgets one by one while its workers still run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from textual import work
from textual.app import App, ComposeResult
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Label, Static
from textual.worker import WorkerFailed

from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_factors, sample_run
from tests.tui.watching import PATIENCE_S
from tui.app import HeadwaterApp
from tui.keys import Scope
from tui.screens.ask import AskScreen
from tui.screens.mixins import renewing
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner


class Restless(View[None]):
    """Looks for its last widget whenever the event loop turns: also while it is being closed."""

    SCOPE: ClassVar[Scope] = "runs"
    has_hint = False

    def compose(self) -> ComposeResult:
        yield from (Static() for _ in range(20))
        yield Label("here")

    def on_mount(self) -> None:
        self.looks = 0
        self._look()

    @work
    async def _look(self) -> None:
        while True:
            self.query_one(Label).update(f"looked {self.looks}")
            self.looks += 1
            await asyncio.sleep(0)


class Wrong(Restless):
    """Has a fault of its own."""

    @work
    async def _look(self) -> None:
        await asyncio.sleep(0)
        self.query_one("#there-is-none")


class Holder(App[None]):
    """An app of one screen."""

    def __init__(self, screen: Screen[None]) -> None:
        super().__init__()
        self.held = screen

    def on_mount(self) -> None:
        self.push_screen(self.held)


WAYS: dict[str, Callable[[App[None]], object]] = {
    "back": lambda app: app.pop_screen(),
    "another in its place": lambda app: app.switch_screen(Screen()),
    "exit": lambda app: app.exit(),
    "end of the terminal": lambda app: None,
}


async def turned_until(true: Callable[[], object]) -> None:
    """Waits while the event loop turns; Textual's own pause waits for a processor at rest, and
    here a worker never rests."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0)


@pytest.mark.parametrize("way", WAYS)
async def test_a_worker_that_looks_at_a_closing_screen_is_no_fault(way: str) -> None:
    screen = Restless()
    app = Holder(screen)
    async with app.run_test():
        await turned_until(lambda: getattr(screen, "looks", 0) > 3)
        WAYS[way](app)
        if way in ("back", "another in its place"):
            await turned_until(lambda: app.screen is not screen)
    assert screen.looks > 3


async def test_what_an_open_screen_lacks_is_a_fault() -> None:
    async def show() -> None:
        async with Holder(Wrong()).run_test() as pilot:
            await pilot.pause()

    with pytest.raises(WorkerFailed) as failed:
        await show()
    assert isinstance(failed.value.error, NoMatches)


@pytest.mark.parametrize("key", "IFERA")
async def test_news_may_come_while_results_are_being_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    async def at_once(reading: Callable[[], Any], *arguments: Any) -> Any:
        return reading(*arguments)

    numbers = count()
    here = SimpleNamespace(sleep=lambda seconds: asyncio.sleep(0), to_thread=at_once)
    monkeypatch.setattr(renewing, "asyncio", here)
    monkeypatch.setattr(Renewing, "_finishes", lambda self: {"scores": next(numbers)})
    for kind in (Renewing, AskScreen):
        monkeypatch.setattr(kind, "shows_results", True)
    run = finished(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)):
        for _ in range(2):
            first = app.screen
            app.simulate_key(key)
            await turned_until(lambda first=first: app.screen is not first)  # type: ignore[misc]
            assert isinstance(app.screen, Renewing)
            await turned_until(lambda: any(banner.news for banner in app.screen.query(Banner)))
            before = next(numbers)
            app.simulate_key("escape")
            await turned_until(lambda first=first: app.screen is first)  # type: ignore[misc]
            assert next(numbers) > before + 1, "nothing looked for news in between"
        app.simulate_key(key)
        await turned_until(lambda: any(banner.news for banner in app.screen.query(Banner)))


def finished(folder: Path) -> RunDir:
    """A run with results for every screen."""
    run = sample_run.scored_run(folder)
    sample_factors.write_spectra(run)
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_report(run)
    return run
