"""Two rankings side by side: of two methods, of two prompts, of two runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from tests.tui import sample_run
from tests.tui.picking import choose
from tests.tui.test_bursts import burst
from tests.tui.watching import screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.beside import agreement, sides
from tui.readers.listing import Listing
from tui.readers.scores import Ranking, Scored
from tui.screens.beside import BesideScreen
from tui.screens.example import ExampleScreen
from tui.screens.rankings import RankingsScreen
from tui.widgets.side_list import SideList

SIZES = [(80, 24), (120, 40)]


def listing(scored: Scored, scores: list[float]) -> Listing:
    """A ranking of the first examples by given scores; the others have none."""
    every = np.full(len(scored.corpus), np.nan, np.float32)
    every[: len(scores)] = scores
    return Listing(scored.corpus, Ranking("home-0", "made", every))


def test_correlation_and_overlap_are_those_of_the_ranks(tmp_path: Path) -> None:
    scored = Scored(sample_run.scored_run(tmp_path))
    left = listing(scored, [12.0 - place for place in range(12)])
    right = listing(scored, [float(place) for place in range(11)])  # turned around, one is missing
    alike = agreement(sides(left, right)[0])
    assert (alike.correlation, alike.common, alike.top_common) == (-1.0, 11, 9)
    same = agreement(sides(left, left)[0])
    assert (same.correlation, same.common, same.top_common) == (1.0, 12, 10)


def test_an_example_is_marked_that_is_only_here_or_moved_far(tmp_path: Path) -> None:
    scored = Scored(sample_run.scored_run(tmp_path))
    left = listing(scored, [20.0 - place for place in range(20)])
    moved = [20.0 - place for place in range(19)]
    moved[0] = 0.0  # from the first place to the last of 19
    side, _ = sides(left, listing(scored, moved))
    assert side.moved(0) == 18
    assert side.moved(1) == -1
    assert side.moved(19) is None
    assert [line for line in range(20) if side.differs(line)] == [0, 19]
    assert side.next_difference(0, 1) == 19
    assert side.next_difference(19, -1) == 0
    assert side.next_difference(19, 1) is None


async def open_beside(pilot: Pilot[None], way: str, name: str) -> BesideScreen:
    """From the screen of a run to its first prompt's ranking beside another one."""
    await pilot.press("I")
    await until_shown(pilot, "Prompts · 6")
    await pilot.press("enter")
    await until_shown(pilot, "ekfac_normalized · top · 1,500")
    await pilot.press("C")
    await choose(pilot, way)
    await choose(pilot, name)
    await until_shown(pilot, "rank correlation")
    screen = pilot.app.screen
    assert isinstance(screen, BesideScreen)
    return screen


@pytest.mark.parametrize("size", SIZES)
async def test_two_methods_show_each_examples_rank_in_the_other(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    run = sample_run.scored_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=size) as pilot:
        screen = await open_beside(pilot, "another method", "bm25")
        await until_shown(pilot, "of the first 10 in common")
        left, right = screen.query(SideList)
        scored = Scored(run)
        for shown, other in ((left, "bm25"), (right, "ekfac_normalized")):
            assert shown.selected is not None
            assert shown.side
            rank = scored.ranking("home-0", other).rank(shown.selected)
            assert int(shown.side.elsewhere[shown.selected]) == (rank or 0)
        await pilot.press("j", "j")
        assert left.selected == right.selected, "the other cursor follows"
        await pilot.press("right", "enter")
        await until_shown(pilot, "of 1,500 by bm25")
        assert stands_on(app, ExampleScreen)
        await pilot.press("escape", "escape")
        assert stands_on(app, RankingsScreen)


async def test_differences_are_gone_through_and_both_ends_shown(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_beside(pilot, "another method", "bm25")
        left = screen.query_one("#left-side", SideList)
        assert left.side
        lines = [line for line in range(len(left.side.listing)) if left.side.differs(line)]
        start = left.cursor
        following = [line for line in lines if line > start]
        await pilot.press("n", "n", "p")
        assert left.cursor == following[0]
        await pilot.press("b")
        await until_shown(pilot, "1,500")
        await until(pilot, lambda: left.side and left.side.listing.reverse)


async def test_another_prompt_and_another_run_stand_beside(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path, "one")
    sample_run.scored_run(tmp_path, "two")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_beside(pilot, "another run", "two")
        await until_shown(pilot, "ekfac_normalized · two")
        await until_shown(pilot, "rank correlation 1.00 over 1,500 examples · 10 of the first 10")
        await pilot.press("escape", "C")
        await choose(pilot, "another prompt")
        await pilot.press("enter")
        await until(pilot, lambda: stands_on(app, BesideScreen))
        await until_shown(pilot, "over 1,500 examples")


async def test_a_run_with_another_prompt_says_so(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path, "one")
    other = sample_run.scored_run(tmp_path, "two")
    first, *others = load_prompts(other.prepared_prompts)
    changed = Prompt(id=first.id, prompt="Who?", completion=first.completion)
    save_prompts(other.prepared_prompts, [changed, *others])
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("C")
        await choose(pilot, "another run")
        await choose(pilot, "two")
        await until_shown(pilot, "run two has not scored this prompt")
        assert stands_on(app, RankingsScreen)


async def test_a_burst_opens_one_question(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await burst(pilot, ["C", "C", "C"])
        await until_shown(pilot, "another method")
        await pilot.press("escape")
        assert stands_on(app, RankingsScreen)
        assert "Prompts · 6" in screen_text(app)
