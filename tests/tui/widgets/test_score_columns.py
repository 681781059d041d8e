"""Scores of a column stand with their points above one another, however large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.app import App, ComposeResult

from tests.tui import sample_run
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.listing import Listing
from tui.readers.scores import Standing
from tui.widgets.ranking_table import RankingTable
from tui.widgets.standings import Standings

SCORES = (47_309.52, 2464.7, 10.119, -999_999.4, 0.2047)
SMALL = (10.119, -0.2047, 3.607e-4, -1.2e-7, 0.5)


class OneList(App[None]):
    """Standings alone."""

    def compose(self) -> ComposeResult:
        yield Standings(id="list")


@pytest.mark.parametrize("width", [34, 74])
@pytest.mark.parametrize("notes", [(), ("a text",) * len(SCORES)])
@pytest.mark.parametrize("scores", [SCORES, SMALL])
async def test_where_an_example_stands_by_methods_of_other_scales(
    width: int, notes: tuple[str, ...], scores: tuple[float, ...]
) -> None:
    app = OneList()
    async with app.run_test(size=(80, 24)):
        rows = app.query_one(Standings)
        rows.notes = notes
        rows.standings = tuple(Standing(f"method_{n}", value, n) for n, value in enumerate(scores))
        lines = ["".join(text for text, _ in rows.line(n, width)) for n in range(len(SCORES))]
        assert len({line.index(".") for line in lines}) == 1
        assert max(map(len, lines)) <= width


async def test_a_ranking_of_large_scores(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        table = app.screen.query_one(RankingTable)
        await until(pilot, lambda: table.count)
        listing = table.listing
        assert listing is not None
        scores = np.geomspace(47_309.5, 0.01, len(listing.ranking.scores), dtype=np.float32)
        ranking = replace(listing.ranking, scores=scores)
        table.listing = Listing(listing.corpus, ranking, listing.relevant)
        table.cursor = next(n for n, value in enumerate(scores) if value < 1000)
        await pilot.pause()
        shown = screen_text(app)
        assert "+1,0" in shown  # and, below it, what is less than 1,000
        assert len(_points(shown)) == 1


@pytest.mark.parametrize(("highest", "lowest"), [(0.2, 1e-5), (9e-3, 1e-5)])
async def test_small_scores_of_a_ranking(tmp_path: Path, highest: float, lowest: float) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        table = app.screen.query_one(RankingTable)
        await until(pilot, lambda: table.count)
        listing = table.listing
        assert listing is not None
        scores = np.geomspace(highest, lowest, len(listing.ranking.scores), dtype=np.float32)
        ranking = replace(listing.ranking, scores=scores)
        table.listing = Listing(listing.corpus, ranking, listing.relevant)
        await pilot.press("enter", "G")
        await pilot.pause()
        assert len(_points(screen_text(app))) == 1


def _points(shown: str) -> set[int]:
    """Where the points of the scores stand."""
    return {line.index(".", 44) for line in shown.splitlines() if " +" in line[44:]}
