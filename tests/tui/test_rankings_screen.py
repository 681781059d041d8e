"""All examples ranked, filtered, sorted, marked: every key of the screen "Influence"."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_run
from textual.widgets import Input
from watching import screen_text, until, until_shown

from tui.app import HeadwaterApp
from tui.screens.example import ExampleScreen
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.widgets.prompt_list import PromptList
from tui.widgets.ranking_table import RankingTable

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_enter_goes_in_and_escape_goes_back(tmp_path: Path, size: tuple[int, int]) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=size) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "Prompts · 6")
        await until_shown(pilot, "4 of 6 answered rightly")
        await pilot.press("j", "enter")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")
        assert "★ doc-0011" in screen_text(app)
        await pilot.press("j", "enter")
        await until_shown(pilot, "★ states the answer")
        assert isinstance(app.screen, ExampleScreen)
        assert "doc-0012" in screen_text(app)
        await pilot.press("n")
        await until_shown(pilot, "3 of 1,500")
        await pilot.press("escape")
        assert isinstance(app.screen, RankingsScreen)
        await until(pilot, lambda: app.screen.query_one(RankingTable).cursor == 2)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one(PromptList).has_focus)
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


async def test_methods_layers_and_ends_are_switched(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "ekfac_normalized · top")
        await pilot.press("m")
        await until_shown(pilot, "identity · top")
        await pilot.press("M", "M")
        await until_shown(pilot, "ekfac · top")
        await pilot.press("M")
        await until_shown(pilot, "layer 1 · top")
        await pilot.press("m", "b")
        await until_shown(pilot, "ekfac · bottom")
        await until_shown(pilot, "▌   1,500")
        await until_shown(pilot, "-0.0999")


async def test_the_filter_searches_the_texts(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter", "slash", *"MARA quay", "enter")
        table = app.screen.query_one(RankingTable)
        await until(pilot, lambda: 0 < table.count < 1500)
        texts = [table.listing.corpus.text(table.listing.place(n)) for n in range(table.count)]
        assert all("Mara" in text and "quay" in text for text in texts)
        assert "with “MARA quay”" in screen_text(app)
        await pilot.press("slash", "x", "y", "enter")
        await until_shown(pilot, "no example holds this")
        await pilot.press("escape")
        await until(pilot, lambda: table.count == 1500)
        assert app.screen.query_one("#filter", Input).value == ""


async def test_without_rankings_it_says_what_is_missing(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "no rankings yet: the scores stage has not finished")
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


async def test_a_run_scored_before_texts_were_kept_says_what_to_run(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.lookup.unlink()
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "headwater run scores --run demo --force")


async def test_scores_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.scores.write_bytes(b"torn")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "the rankings cannot be read")
