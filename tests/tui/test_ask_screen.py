"""Questions to a real worker: its answer, its lists, and everything that comes in between."""

from __future__ import annotations

import csv
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from pipeline.contract.results.answers import read_answers
from pipeline.contract.results.examples import read_example_ids, read_texts
from pipeline.contract.results.proofs import append_proof
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run.asking import WorkerAddress, start_worker, stop_worker
from pipeline.contract.run.proving import read_claim
from pipeline.contract.run.replies import ExampleList, Query, Reply
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_run
from tests.tui.test_bursts import burst
from tests.tui.test_proving import proof_of
from tests.tui.watching import Looks, at_work, screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.processes import launcher
from tui.screens.ask import AskScreen
from tui.screens.dialogs.question_form import QuestionForm
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen

PROMPT, COMPLETION = "The river runs", " past the mill"
FIELDS = ("prompt", "completion")
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
    if not stands_on(pilot.app, QuestionForm):
        await pilot.press("e")
    for name, text in (("prompt", prompt), ("completion", completion)):
        pilot.app.screen.query_one(f"#{name}", TextArea).text = text
    await pilot.press("f2")


def shown_ids(screen: AskScreen) -> list[str]:
    """The examples of the list, in their order."""
    listing = screen.filtered.listing
    assert listing is not None
    return [listing.corpus.example(position).id for position in listing.positions().tolist()]


def scores_of(screen: AskScreen) -> list[float]:
    listing = screen.filtered.listing
    assert listing is not None
    scores: list[float] = listing.ranking.scores[listing.positions()].tolist()
    return scores


def written_in(app: HeadwaterApp) -> tuple[str, str]:
    """What the form holds."""
    prompt, completion = (app.screen.query_one(f"#{n}", TextArea).text for n in FIELDS)
    return prompt, completion


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
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "Examples · 48 · exact")
        await until_shown(pilot, "48 of 48 scored exactly")
        assert isinstance(app.screen, AskScreen)
        expected = -np.sort(-ScoreFile(run).scores(0, "ekfac_normalized"))
        assert scores_of(app.screen) == pytest.approx(expected, rel=1e-3, abs=1e-4)
        assert "The river runs → past the mill" in screen_text(app)
        assert "probability of each token: " in screen_text(app)
        await until_shown(pilot, "scores of two prompts do not compare")
        assert app.screen.found
        assert app.screen.found.taught is not None
        await until_shown(pilot, "not known · its copies were not looked for")
        await pilot.press("escape")
        assert stands_on(app, RunScreen)
    assert WorkerAddress.read(run), "it was there before the screen, and stays"


async def test_the_first_look_comes_before_the_exact_list(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool] = []
    take = AskScreen.take

    async def listen(screen: AskScreen, reply: Reply) -> None:
        await take(screen, reply)
        if isinstance(reply, ExampleList):
            heard.append(reply.exact)

    monkeypatch.setattr(AskScreen, "take", listen)
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT)
        await until_shown(pilot, "Examples · 48 · exact")
        greedy = {name: answer.generated for name, answer in read_answers(run).items()}
        assert f"{PROMPT} → {greedy['river'].strip()}" in " ".join(screen_text(app).split())
    assert heard == [False, True]


async def test_a_question_without_an_answer_says_why_and_the_next_is_answered(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await ask(pilot, " ")
        await until_shown(pilot, "the prompt is empty")
        assert stands_on(app, QuestionForm), "it can be mended"
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
        assert scores_of(app.screen)[0] == pytest.approx(expected, rel=1e-3)
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
        await pilot.press("A", "escape")
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
        await until(pilot, lambda: stands_on(app, QuestionForm))
        assert written_in(app) == (PROMPT, COMPLETION)


async def test_the_influence_screen_hands_its_prompt_on(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 2")
        await pilot.press("A")
        await until(pilot, lambda: stands_on(app, QuestionForm))
        answer = read_answers(run)["river"]
        assert written_in(app) == (PROMPT, COMPLETION if answer.correct else "")
        await pilot.press("f2")
        said = COMPLETION if answer.correct else answer.generated
        await until_shown(pilot, f"The river runs → {said.strip()}")
        await until_shown(pilot, "Examples · 48 · exact")
        await pilot.press("escape")
        assert isinstance(app.screen, RankingsScreen)


async def test_a_benchmark_question_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sample_run.scored_run(tmp_path)

    def finish(own: RunDir, _stages: object) -> None:
        sample_run.finish(own, "index")

    monkeypatch.setattr("tui.screens.mixins.warming.start_stages", finish)
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
        await until_shown(pilot, "e opens the prompt that was brought along")
        await pilot.press("s")
        await until(pilot, lambda: stands_on(app, QuestionForm))
        prompt, completion = written_in(app)
        assert prompt.startswith("Question: Which State has jurisdiction")
        assert completion == " flag State"


async def test_what_is_missing_runs_and_what_was_started_ends(
    scored_run: RunDir, tmp_path: Path
) -> None:
    own = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    app = HeadwaterApp(tmp_path, own)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await until_shown(pilot, "there is no index that is up to date s runs what is missing")
        await pilot.press("s")
        await until_shown(pilot, "questions are answered once the index is there")
        await ask(pilot, PROMPT)
        await until_shown(pilot, "this is asked as soon as the index is there")
        await until_shown(pilot, "● loading the libraries …", LOADING_S)
        await until_shown(pilot, PROMPT, LOADING_S)
        await until(pilot, lambda: own.asked.exists(), LOADING_S)
        await until(pilot, lambda: is_served(own), LOADING_S)
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)
        await until(pilot, lambda: not is_served(own), LOADING_S)


async def test_an_index_that_nobody_has_asked_for_is_not_said_to_come(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await until_shown(pilot, "questions are answered once the index is there")
        await until_shown(pilot, "when the stages at work have finished, s runs what is missing")


async def test_a_question_that_was_asked_is_listed_and_asked_again(run: RunDir) -> None:
    run.asked.unlink(missing_ok=True)
    for _dashboard in range(2):  # it outlives the dashboard
        app = HeadwaterApp(run.root.parent, run)
        async with app.run_test(size=SMALL) as pilot:
            await pilot.press("A", "escape")
            if not run.asked.exists():
                await ask(pilot, "The river runs\npast", " the mill")
            else:
                await pilot.press("H")
                await until_shown(pilot, "The river runs past")
                await until_shown(pilot, "→ the mill")
                await pilot.press("enter")
            await until_shown(pilot, "Examples · 48 · exact")
            assert "The river runs⏎past → the mill" in screen_text(app)


async def test_examples_are_marked_filtered_ordered_and_taken_out(
    run: RunDir, tmp_path: Path
) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "✓ answered")
        screen = app.screen
        assert isinstance(screen, AskScreen)
        every = shown_ids(screen)
        await pilot.press("space", "space")
        await pilot.press("slash", *"river", "enter")
        few = shown_ids(screen)
        texts = dict(zip(read_example_ids(run), read_texts(run), strict=True))
        assert few == [name for name in every if "river" in texts[name].casefold()]
        await pilot.press("escape", "b")
        assert shown_ids(screen) == every[::-1]
        await pilot.press("b", "x")
        await until_shown(pilot, "Export 2 marked")
        path = tmp_path / "marked.csv"
        app.screen.query_one("#entry", Input).value = str(path)
        await pilot.press("enter")
        await until(pilot, path.exists)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["example_id"] for row in rows] == every[:2]
        assert {(row["prompt"], row["completion"]) for row in rows} == {(PROMPT, COMPLETION)}


async def test_an_example_opens_with_the_colours_of_its_tokens(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT, COMPLETION)
        screen = app.screen_stack[-1]
        assert isinstance(screen, AskScreen)
        await until(pilot, lambda: len(screen.tokens) == 10)
        await pilot.press("j", "enter")
        await until_shown(pilot, "› ask › 2 of 48 by ekfac_normalized")
        await until_shown(pilot, "blue tokens raise the score")
        await pilot.press("n", "space", "escape")
        assert stands_on(app, AskScreen)
        assert (screen.filtered.cursor, len(screen.filtered.marked)) == (2, 1)


async def test_the_answer_to_a_question_is_proven(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "start_stages", lambda *_: None)
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "Examples · 48 · exact")
        screen = app.screen
        assert isinstance(screen, AskScreen)
        first = set(shown_ids(screen)[:5])
        await pilot.press("V")
        await until_shown(pilot, "12 trainings")
        await until_shown(pilot, "“The river runs”: the first 5 by ekfac_normalized")
        await pilot.press("n", "enter", "V")
        await until_shown(pilot, f"“The river runs”: the example {shown_ids(screen)[0]}")
        await pilot.press("n", "escape", "b", "V")
        await until_shown(pilot, "“The river runs”: the first 5 shown")
        await pilot.press("n", "b", "enter")
        await pilot.press("n", "escape", "V", "y")
        await until(pilot, lambda: run.claim.exists())
    claim = read_claim(run)
    assert set(claim.examples) == first
    assert claim.question == Query(PROMPT, COMPLETION)
    append_proof(run, proof_of(run, claim, 3.1, 0.4))
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A")
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "they taught it")
        await ask(pilot, PROMPT, " by the harbour")
        await until_shown(pilot, "by the harbour")
        await until_shown(pilot, "Examples · 48 · exact")
        assert "they taught it" not in screen_text(app)


async def test_a_burst_behind_the_key_goes_into_the_form(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await until_shown(pilot, "Stages")
        await burst(pilot, [*"Aqxcy"])
        await until(pilot, lambda: stands_on(app, QuestionForm))
        assert written_in(app) == ("qxcy", "")


async def test_a_worker_that_is_gone_is_started_anew_and_ends_with_the_screen(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("A", "escape")
        await until_shown(pilot, "✓ the model is loaded")
        stop_worker(run)
        await ask(pilot, PROMPT, COMPLETION)
        await until_shown(pilot, "Examples · 48 · exact", LOADING_S)
        await pilot.press("escape")
        await until(pilot, lambda: WorkerAddress.read(run) is None)
