"""From an answer to every place where it stands word for word in the training data."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.contract.results.spans import read_span_index
from pipeline.contract.run.run_dir import RunDir
from tests.tui.watching import screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.screens.copies import CopiesScreen
from tui.screens.example import ExampleScreen
from tui.widgets.ranking_table import RankingTable
from tui.widgets.scrolling import TextPane
from tui.widgets.table import Table


async def test_an_examples_page_has_the_answer_traced_and_its_places_listed(
    scored_run: RunDir, tmp_path: Path
) -> None:
    """Without an index nothing is started; the key that is named makes one."""
    run = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    shutil.rmtree(run.verbatim(run.examples), ignore_errors=True)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 2")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(RankingTable).count)
        await pilot.press("enter")
        await until_shown(pilot, "not known · its copies were not looked for · t indexes the")
        assert stands_on(app, ExampleScreen)
        await pilot.press("n", "p", "t")  # typed on: the page stays with its answer
        await until(pilot, lambda: stands_on(app, CopiesScreen))
        await until_shown(pilot, "tokens are copied")
        assert read_span_index(run.verbatim(run.examples))
        table = app.screen.query_one(Table)
        assert table.count
        assert table.selected
        span, place, text = table.selected.item
        assert span.text.strip() in text
        assert place.example_id in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#first", TextPane).has_focus)
        await pilot.press("slash")
        await pilot.press(*"zzz", "enter")
        await until_shown(pilot, "no line holds these words")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: stands_on(app, ExampleScreen))
        await until_shown(pilot, "t lists them")
