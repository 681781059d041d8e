"""One example in full: its tokens, its parts, its kin, its standing elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pipeline.contract.run.replies import ExampleList, ExampleTokens, Query, Reply
from tests.tui import sample_run
from tests.tui.frozen_answers import FrozenAnswerer
from tests.tui.picking import pick
from tests.tui.watching import PATIENCE_S, screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.detail import Detail, detail
from tui.screens.example import ExampleScreen
from tui.screens.rankings import RankingsScreen
from tui.widgets.ranking_table import RankingTable
from tui.widgets.standings import Standings


@pytest.fixture
def app(tmp_path: Path) -> HeadwaterApp:
    return HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))


async def open_example(pilot: Pilot[None], downwards: int = 0) -> ExampleScreen:
    """The example of the default ranking's first line, or of one below it."""
    await pilot.press("I")
    await until_shown(pilot, "Prompts · 6")
    await pilot.press("enter")
    await until(pilot, lambda: pilot.app.screen.query_one(RankingTable).count)
    await pilot.press(*["j"] * downwards, "enter")
    await until_shown(pilot, "of 1,500 by ekfac_normalized")
    screen = pilot.app.screen
    assert isinstance(screen, ExampleScreen)
    return screen


def part(screen: ExampleScreen, name: str) -> Standings:
    return screen.query_one(f"#{name}", Standings)


async def test_tokens_are_told_by_colour_by_signs_or_not_at_all(app: HeadwaterApp) -> None:
    app.theme = "headwater"
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_example(pilot)
        await until_shown(pilot, "blue tokens raise the score, orange ones lower it")
        grounds = {
            segment.style.bgcolor
            for strip in screen._compositor.render_strips()
            for segment in strip
            if "Tellin" in segment.text and segment.style
        }
        assert len(grounds) > 1
        await pilot.press("h")
        await until_shown(pilot, "⁺⁺Tellin")
        await pilot.press("h")
        await until(pilot, lambda: "⁺⁺Tellin" not in screen_text(app))


async def test_without_colours_tokens_have_signs_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_example(pilot)
        await until_shown(pilot, "⁺⁺Tellin")


async def test_examples_without_token_scores_say_so(app: HeadwaterApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_example(pilot, downwards=8)
        await until_shown(pilot, "token scores: only for")
        await until_shown(pilot, "9 of 1,500")


async def test_an_example_with_the_prompts_words_and_another_answer_says_so(
    app: HeadwaterApp,
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_example(pilot)
        await until(pilot, lambda: screen._detail is not None)
        assert screen._detail
        assert "another answer" not in screen_text(app)
        text = "Tilo Brandt was born in Quell."
        screen._detail = replace(screen._detail, text=text, tokens=None, relevant=False)
        screen._show_text()
        await until_shown(pilot, "same words, another answer: quell")


async def test_a_small_screen_shows_the_parts_one_after_the_other(app: HeadwaterApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_example(pilot)
        await until_shown(pilot, "Methods and layers")
        assert "gradient_cosine" in screen_text(app)
        for title in ("ekfac, % of the score", "For other prompts", "Near-duplicates · 0",
                      "Document · 1 chunk", "Methods and layers"):  # fmt: skip
            await pilot.press("v")
            await until_shown(pilot, title)


async def test_a_large_screen_shows_all_parts(app: HeadwaterApp) -> None:
    async with app.run_test(size=(200, 60)) as pilot:
        await open_example(pilot)
        for title in ("Methods and layers", "ekfac, % of the score", "For other prompts",
                      "Near-duplicates · 0", "Document · 1 chunk"):  # fmt: skip
            await until_shown(pilot, title)
        await until_shown(pilot, "Tilo Brandt was born in → Orsk Harbour")
        figures = screen_text(app)
    assert "q_proj" not in figures
    assert all(f" {kind}" in figures for kind in ("q", "up", "down", "sum"))


async def test_methods_and_other_prompts_rank_the_same_example(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_example(pilot, downwards=1)
        await pick(pilot, "identity")
        await until_shown(pilot, "2 of 1,500 by identity")
        await pick(pilot, "ekfac")
        await until_shown(pilot, "2 of 1,500 by ekfac")
        methods = part(screen, "methods")
        methods.focus()
        assert methods.selected
        assert methods.selected.name == "ekfac"
        await pilot.press("G", "enter")
        await until_shown(pilot, "by layer 1")
        prompts = part(screen, "prompts")
        prompts.focus()
        await pilot.press("j", "enter")
        await until_shown(pilot, "Tilo Brandt was born in → Orsk Harbour")
        assert screen.position == 2
        await pilot.press("escape")
        rankings = app.screen
        assert isinstance(rankings, RankingsScreen)
        await until_shown(pilot, "layer 1 · top · 1,500")
        await until(pilot, lambda: rankings.query_one(RankingTable).selected == 2)
        await until_shown(pilot, "Tilo Brandt was born in → Orsk Harbour")


async def test_kin_lead_to_one_another(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_example(pilot)
        screen.position = 7
        await until_shown(pilot, "Near-duplicates · 9")
        part(screen, "duplicates").focus()
        await pilot.press("j", "enter")
        await until(pilot, lambda: screen.position == 14)
        await until_shown(pilot, "doc-0014")
        screen.position = 8
        await until_shown(pilot, "chunk 1 of 2")
        part(screen, "document").focus()
        await pilot.press("j", "enter")
        await until_shown(pilot, "chunk 2 of 2")
        assert screen.position == 9


async def test_the_whole_document_is_shown_around_the_example(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_example(pilot)
        screen.position = 9
        await until_shown(pilot, "chunk 2 of 2")
        before = screen._scored.corpus.text(8).split(" ")[-3:]
        own = " ".join(screen._scored.corpus.text(9).split(" ")[:3])
        assert " ".join(before) + own not in " ".join(screen_text(app).split())
        await pilot.press("0")
        await until(pilot, lambda: " ".join(before) in " ".join(screen_text(app).split()))


async def test_the_next_and_the_one_before_stay_within_the_table(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_example(pilot)
        await pilot.press("n", "right", "p", "left", "left")
        await until(pilot, lambda: screen.position == 1)
        await until_shown(pilot, "1 of 1,500")


async def test_an_example_is_marked_and_copied_where_it_is_read(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await open_example(pilot)
        await pilot.press("space")
        await until_shown(pilot, "● marked")
        await pilot.press("y")
        await until_shown(pilot, "the text: sent")
        assert app.clipboard == screen._scored.corpus.text(1)
        await pilot.press("x")
        await until_shown(pilot, "Export 1 marked")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, RankingsScreen))
        assert app.screen.query_one(RankingTable).marked == {1}


async def test_an_asked_example_that_is_open_follows_the_exact_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, told = threading.Event(), threading.Event()

    class Later(FrozenAnswerer):
        def replies(self, question: Query) -> Iterator[Reply]:
            for reply in super().replies(question):
                if isinstance(reply, ExampleList) and reply.exact:
                    assert opened.wait(PATIENCE_S)
                    first, second, *others = reply.rows  # they change places
                    reply = replace(reply, rows=(second, replace(first, score=0.01), *others))
                if isinstance(reply, ExampleTokens):
                    assert told.wait(PATIENCE_S)
                yield reply

    monkeypatch.setattr("tui.screens.ask.Answerer", lambda _run: Later())
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "index")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("A")
        await pilot.press(*"Mara", "f2")
        await until_shown(pilot, "provisional")
        await pilot.press("enter", "space")
        await until_shown(pilot, "› ask › 1 of 50")
        await until_shown(pilot, "token scores: only for")
        opened.set()
        await until_shown(pilot, "+0.0100")
        assert "› ask › 1 of 50" not in screen_text(app)
        assert "doc-0001 ·" in screen_text(app)
        assert "● marked" in screen_text(app)
        told.set()
        await until_shown(pilot, "blue tokens raise the score")
        await pilot.press("escape")
        await until_shown(pilot, "exact")
        table = app.screen.query_one(RankingTable)
        assert table.listing
        assert table.selected is not None
        assert table.listing.corpus.example(table.selected).id == "doc-0001"
        assert table.marked == {table.selected}


async def test_keys_behind_the_next_example_are_meant_for_it(
    app: HeadwaterApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = threading.Event()

    def late(*arguments: Any) -> Detail:
        assert arguments[-1] != 14 or may_read.wait(PATIENCE_S)
        return detail(*arguments)

    monkeypatch.setattr("tui.screens.example.detail", late)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_example(pilot)
        screen.position = 7
        await until_shown(pilot, "Near-duplicates · 9")
        part(screen, "duplicates").focus()
        screen.position = 14
        for key in ("j", "enter"):
            app.simulate_key(key)
        for _ in range(20):
            await pilot.pause()
        may_read.set()
        await until(pilot, lambda: screen.position == 7)  # the second of what 14 is alike
