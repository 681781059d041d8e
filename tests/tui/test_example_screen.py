"""One example in full: its tokens, its parts, its kin, its standing elsewhere."""

from __future__ import annotations

from pathlib import Path

import sample_run
from watching import screen_text, until, until_shown

from tui.app import HeadwaterApp
from tui.widgets.ranking_table import RankingTable


async def test_tokens_are_told_by_colour_by_signs_or_not_at_all(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("i")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(RankingTable).count)
        await pilot.press("enter")
        await until_shown(pilot, "blue adds to the score")
        await pilot.press("t")
        await until_shown(pilot, "⁺⁺Tellin")
        await pilot.press("t")
        await until(pilot, lambda: "⁺⁺Tellin" not in screen_text(app))
