"""Questions to a real worker: its answer, its lists, and everything that comes in between."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pipeline.contract.results.answers import read_answers
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run.asking import (
    ExampleList,
    Reply,
    WorkerAddress,
    start_worker,
    stop_worker,
)
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_run
from tests.tui.watching import Looks, screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.screens.ask import AskScreen
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.widgets.scrolling import TextPane
from tui.widgets.table import Table

PROMPT, COMPLETION = "The river runs", " past the mill"
LOADING_S = 90.0
SMALL, LARGE = (80, 24), (120, 40)


@pytest.fixture(scope="module")
def run(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDir]:
    """An indexed run whose worker serves the tests of this module."""
    from pipeline.stages import index
    from tests.small_runs import run_here

    own = RunDir(shutil.copytree(scored_run.root, tmp_path_factory.mktemp("asked") / "run"))
    run_here(own, index)
    start_worker(own)
    yield own
    stop_worker(own)


async def ask(pilot: Pilot[None], prompt: str, completion: str = "") -> None:
    """Writes a question as a person would, and sends it."""
    for name, text in (("prompt", prompt), ("completion", completion)):
        pilot.app.screen.query_one(f"#{name}", Input).value = text
    pilot.app.screen.query_one("#prompt").focus()
    await pilot.press("enter")


def is_served(run: RunDir) -> bool:
    """Whether a worker lives, be it still loading."""
    with run.ask_lock.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_exact_list_is_the_ranking_of_the_run(run: RunDir, size: tuple[int, int]) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=size) as pilot:
        await pilot.press("A")
        await until_shown(pilot, "✓ the model is loaded")
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "Examples · 48 · exact")
        assert isinstance(app.screen, AskScreen)
        found = [app.screen.examples[row.item] for row in app.screen.query_one(Table).rows]
        expected = -np.sort(-ScoreFile(run).scores(0, "ekfac_normalized"))
        assert [row.score for row in found] == pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert "The river runs → past the mill" in screen_text(app)
        await until_shown(pilot, "+ taught it")
        await pilot.press("j", "enter")
        assert app.screen.query_one("#first", TextPane).has_focus
        assert found[1].text in " ".join(screen_text(app).replace("│", " ").split())
        await pilot.press("escape", "escape")
        assert stands_on(app, RunScreen)
    assert WorkerAddress.read(run), "it was there before the screen, and stays"


async def test_the_first_look_comes_before_the_exact_list(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool | str] = []
    take = AskScreen._take

    def listen(screen: AskScreen, reply: Reply) -> None:
        take(screen, reply)
        shown = screen_text(screen.app)
        heard.append(reply.exact if isinstance(reply, ExampleList) else shown)

    monkeypatch.setattr(AskScreen, "_take", listen)
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT)
        await until_shown(pilot, "Examples · 48 · exact")
        greedy = {name: answer.generated for name, answer in read_answers(run).items()}
        assert f"{PROMPT} → {greedy['river'].strip()}" in " ".join(screen_text(app).split())
    assert heard[-2:] == [False, True]


async def test_a_question_without_an_answer_says_why_and_the_next_is_answered(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await ask(pilot, " ")
        await until_shown(pilot, "the prompt is empty")
        await ask(pilot, "mill " * 600, " past")
        await until_shown(pilot, "tokens, the model reads 512")
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "Examples · 48 · exact")
        assert "the model reads 512" not in screen_text(app)


async def test_a_newer_question_takes_the_place_of_the_one_before(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT, COMPLETION)
        await ask(pilot, "The baker sells", " bread")
        await until_shown(pilot, "Examples · 48 · exact")
        expected = ScoreFile(run).scores(1, "ekfac_normalized").max()
        assert isinstance(app.screen, AskScreen)
        best = app.screen.examples[app.screen.query_one(Table).rows[0].item]
        assert best.score == pytest.approx(expected, rel=1e-3)
        assert "The baker sells → bread" in screen_text(app)


async def test_a_newer_index_is_news_to_who_has_an_answer(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(monkeypatch)

    def index_again() -> None:
        done = run.done("index")
        os.utime(done, ns=(0, done.stat().st_mtime_ns + 1))

    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("A")
        await until_shown(pilot, "✓ the model is loaded")
        index_again()
        await looks.again(pilot)
        assert "newer results" not in screen_text(app), "nothing is shown that could be older"
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "✓ answered")
        index_again()
        await until_shown(pilot, "newer results: F5 shows them")
        before = app.screen
        await pilot.press("f5")
        await until(pilot, lambda: app.screen is not before)
        await until_shown(pilot, "✓ the model is loaded")
        written = [
            app.screen.query_one(f"#{name}", Input).value for name in ("prompt", "completion")
        ]
        assert written == [PROMPT, COMPLETION]


async def test_the_influence_screen_hands_its_prompt_on(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 2")
        await pilot.press("A")
        await until_shown(pilot, "✓ the model is loaded")
        await pilot.press("enter")
        await until_shown(pilot, "The river runs → past the mill")
        await until_shown(pilot, "Examples · 48 · exact")
        await pilot.press("escape")
        assert isinstance(app.screen, RankingsScreen)


async def test_a_benchmark_question_is_filled_in(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "benchmark")
    sample_evaluation.write_benchmarks(run)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("E")
        await until_shown(pilot, "Benchmarks · ")
        await pilot.press("enter")
        await until_shown(pilot, "Questions · 3")
        await pilot.press("A")
        await until_shown(pilot, "s runs what is missing: index")
        written = {entry.id: entry.value for entry in app.screen.query(Input)}
        assert written["prompt"].startswith("Question: Which State has jurisdiction")
        assert written["completion"] == " flag State"


async def test_what_is_missing_runs_and_what_was_started_ends(
    scored_run: RunDir, tmp_path: Path
) -> None:
    own = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    app = HeadwaterApp(tmp_path, own)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await until_shown(pilot, "there is no index that is up to date s runs what is missing")
        await pilot.press("s")
        await until_shown(pilot, "questions can be asked once the index is there")
        await until_shown(pilot, "● loading the model …", LOADING_S)
        await until(pilot, lambda: is_served(own), LOADING_S)
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)
        await until(pilot, lambda: not is_served(own), LOADING_S)


async def test_a_worker_that_is_gone_is_started_anew_and_ends_with_the_screen(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await until_shown(pilot, "✓ the model is loaded")
        stop_worker(run)
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "Examples · 48 · exact", LOADING_S)
        await pilot.press("escape")
        await until(pilot, lambda: WorkerAddress.read(run) is None)
