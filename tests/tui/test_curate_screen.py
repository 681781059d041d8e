"""What of the training data would go, and both parts written: every key, by a real process."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.app import App
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from pipeline.contract.results.answers import GreedyAnswer, write_answers
from pipeline.contract.results.curation import (
    REASON,
    Curation,
    CurationPreview,
    CurationRequest,
)
from pipeline.contract.results.scores import KnownAnswers, ScoresSummary, write_scores_summary
from pipeline.contract.run import freshness
from pipeline.contract.run.new_run import change_settings
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from tests.small_curation import METHODS, PROMPTS, ROWS, save_jsonl, save_scores, scored_run
from tests.small_runs import as_written
from tests.tui.watching import screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.processes.curator import Curator
from tui.screens.curate import CurateScreen
from tui.screens.prompts import PromptsScreen
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.widgets.prompt_list import PromptList
from tui.widgets.table import Table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that no test changes."""
    folder = tmp_path_factory.mktemp("curated")
    run = scored_run(folder, save_jsonl(folder, ROWS))
    summarise(run)
    return run


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run of the test's own; what it writes goes beside it."""
    monkeypatch.chdir(tmp_path)
    return scored_run(tmp_path, save_jsonl(tmp_path, ROWS))


@pytest.fixture
def twins(tmp_path: Path) -> RunDir:
    """The rows 10 to 12 are near-duplicates, and one of them comes first."""
    text = "The mill by the river turns its old wheel all day long while the harbour sleeps on"
    alike = {n: {**ROWS[n], "body": f"{text}, {n}."} for n in (10, 11, 12)}
    rows = [alike.get(n, row) for n, row in enumerate(ROWS)]
    run = scored_run(tmp_path, save_jsonl(tmp_path, rows))
    from pipeline.contract.results.examples import groups_of, read_examples

    save_scores(run, highest=int((groups_of(read_examples(run)) >= 0).argmax()))
    return run


def app_of(run: RunDir) -> HeadwaterApp:
    return HeadwaterApp(run.root.parent, run)


def asked(run: RunDir, drop: int = 3) -> CurationRequest:
    return CurationRequest(str(run.root), of_set="asked", drop=drop)


def rows(app: App[None]) -> list[str]:
    return [row.item.example for row in app.screen.query_one(Table).rows]


async def shown(app: HeadwaterApp, pilot: Pilot[None], run: RunDir, text: str, **asks: int) -> None:
    app.push_screen(CurateScreen(run, asked(run, **asks)))
    await until_shown(pilot, text)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_rows_that_go_are_shown_with_why(run: RunDir, size: tuple[int, int]) -> None:
    whole = Curator().preview(asked(run))
    app = app_of(run)
    async with app.run_test(size=size) as pilot:
        await shown(app, pilot, run, "Rows that go · 3")
        assert "3 of the 27 rows trained on go, 24 stay" in screen_text(app)
        assert "ranked for the prompts of set asked by ekfac" in screen_text(app)
        assert rows(app) == [row.example for row in whole.rows]
        await pilot.press("j")
        second = whole.rows[1]
        assert second.example in screen_text(app)
        assert second.because in " ".join(screen_text(app).split())
        assert second.text in " ".join(screen_text(app).split())


async def test_the_amount_is_a_number_of_rows_or_a_share(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, run, "Rows that go · 3")
        await pilot.press("e")
        entry = app.screen.query_one(Input)
        for wrong in ("", "0", "many", "100%", "0%"):
            entry.value = wrong
            await pilot.press("enter")
            await until_shown(pilot, "a number of rows from 1 on, or a share")
        entry.value = "50%"
        await pilot.press("enter")
        await until_shown(pilot, "13 of the 27 rows trained on go, 14 stay")
        await pilot.press("e")
        assert app.screen.query_one(Input).value == "50%"
        app.screen.query_one(Input).value = " 7 "
        await pilot.press("enter")
        await until_shown(pilot, "7 of the 27 rows trained on go, 20 stay")


async def test_what_cannot_be_leaves_the_choice_before(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shown(app, pilot, run, "Rows that go · 3")
        await pilot.press("e")
        app.screen.query_one(Input).value = "500"
        await pilot.press("enter")
        await until_shown(pilot, "500 rows cannot be dropped: only 27 have a score")
        assert "3 of the 27 rows trained on go" in screen_text(app)
        await pilot.press("e")
        assert app.screen.query_one(Input).value == "3"


async def test_another_method_ranks_other_rows(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, run, "Rows that go · 3")
        before = rows(app)
        await pilot.press("M")
        await until_shown(pilot, "Rank by")
        await pilot.press("j", "enter")
        await until_shown(pilot, "ranked for the prompts of set asked by bm25")
        assert rows(app) != before


async def test_near_duplicates_are_offered_and_may_go_too(twins: RunDir) -> None:
    app = app_of(twins)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, twins, "Rows that go · 1", drop=1)
        assert "near-duplicates of what goes, which stay: " in screen_text(app)
        assert "& drops them too" in " ".join(screen_text(app).split())
        await pilot.press("ampersand")
        await until_shown(pilot, "near-duplicates of what goes go too")
        table = app.screen.query_one(Table)
        assert len(table.rows) > 1
        assert table.columns[2].title == "group"
        assert len({row.cells[2].text for row in table.rows}) == 1
        assert all("a near-duplicate of" in row.item.because for row in table.rows[1:])


async def test_both_parts_are_written_and_a_run_is_made_on_what_stays(
    own: RunDir, tmp_path: Path
) -> None:
    app = app_of(own)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shown(app, pilot, own, "Rows that go · 3")
        gone = rows(app)
        await pilot.press("w")
        assert app.screen.query_one("#folder", Input).value == "small-kept"
        assert app.screen.query_one("#clone", Input).value == "small-2"
        await pilot.press("f2")
        await until(pilot, lambda: stands_on(app, RunScreen))
        await until_shown(pilot, "3 rows go, 27 are kept")
        await until_shown(pilot, "a trains on what stays")
    dropped = (tmp_path / "small-kept" / "dropped.jsonl").read_text().splitlines()
    assert [json.loads(line)[REASON]["example"] for line in dropped] == gone
    clone = load_settings(RunDir(own.root.with_name("small-2")).settings)
    assert clone.data.path == str(tmp_path / "small-kept" / "kept.jsonl")


async def test_a_choice_cannot_change_while_it_is_written(
    own: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = Event()
    really = Curator.make

    def make(self: Curator, *asked: Any) -> Curation:
        may_write.wait(60)
        return really(self, *asked)

    monkeypatch.setattr(Curator, "make", make)
    app = app_of(own)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shown(app, pilot, own, "Rows that go · 3")
        await pilot.press("w", "f2")
        await until_shown(pilot, "writing…")
        await pilot.press("e", "ampersand", "M", "w")
        assert stands_on(app, CurateScreen)
        assert "Rows that go · 3" in screen_text(app)
        may_write.set()
        await until_shown(pilot, "3 rows go, 27 are kept")
    assert (tmp_path / "small-kept" / "kept.jsonl").exists()


async def test_names_that_are_taken_are_told_before_anything_is_written(
    own: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "small-kept").mkdir()
    app = app_of(own)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, own, "Rows that go · 3")
        await pilot.press("w")
        folder = app.screen.query_one("#folder", Input)
        assert folder.value == "small-kept-2"
        folder.value = "small-kept"
        app.screen.query_one("#clone", Input).value = "small"
        await pilot.press("f2")
        await until_shown(pilot, "there is something of this name already")
        await until_shown(pilot, "there is a run 'small' already")
    assert list((tmp_path / "small-kept").iterdir()) == []


async def test_data_that_have_changed_are_told_and_nothing_is_written(
    own: RunDir, tmp_path: Path
) -> None:
    app = app_of(own)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shown(app, pilot, own, "Rows that go · 3")
        (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:5]))
        await pilot.press("w", "f2")
        await until_shown(pilot, "the scores of run small are stale")
    assert not (tmp_path / "small-kept").exists()
    assert not own.root.with_name("small-2").exists()


async def test_stale_scores_are_one_message_and_no_table(own: RunDir) -> None:
    change_settings(own, own.settings.read_text().replace("max_tokens = 64", "max_tokens = 32"))
    app = app_of(own)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, own, "the scores of run small are stale")
        assert "headwater run scores --force --run small" in " ".join(screen_text(app).split())
        assert not app.screen.query_one(Table).display
        await pilot.press("e", "M", "w", "ampersand")  # nothing to change or to write
        assert stands_on(app, CurateScreen)
        await pilot.press("escape")
        assert not stands_on(app, CurateScreen)


async def test_leaving_ends_the_process(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = list[Curator]()
    really = Curator.stop

    def stop(self: Curator) -> None:
        stopped.append(self)
        really(self)

    monkeypatch.setattr(Curator, "stop", stop)
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(CurateScreen(run, asked(run)))
        await until_shown(pilot, "sorting…")
        await pilot.press("escape")
        await until(pilot, lambda: len(stopped) == 1)


async def test_keys_behind_the_one_that_sorts_wait_until_it_is_sorted(twins: RunDir) -> None:
    app = app_of(twins)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(PromptsScreen(twins))
        await until_shown(pilot, "Prompts · 3")
        for key in ("K", "ampersand", "ampersand", "e", "backspace", "7", "enter"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        await until_shown(pilot, "Rows that go · 7")
        assert "near-duplicates of what goes go too" not in screen_text(app)


async def test_a_sorting_that_does_not_end_is_left_at_once(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, really = Event(), Curator.preview

    def preview(self: Curator, request: CurationRequest) -> CurationPreview:
        may_end.wait(60)
        return really(self, request)

    monkeypatch.setattr(Curator, "preview", preview)
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(CurateScreen(run, asked(run)))
        await until_shown(pilot, "sorting…")
        app.post_message(Key("escape", None))
        await until(pilot, lambda: not stands_on(app, CurateScreen), seconds=5)
        may_end.set()


async def test_a_prompt_or_a_set_leads_here_from_its_ranking(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(RankingsScreen(run))
        await until_shown(pilot, "Prompts · ")
        await pilot.press("K")
        await until_shown(pilot, "ranked for prompt good by ekfac")
        await pilot.press("escape")
        prompts = app.screen.query_one(PromptList)
        prompts.cursor = [answer.id for answer in prompts.answers].index("Σ asked")
        await pilot.press("K")
        await until_shown(pilot, "ranked for the prompts of set asked by ekfac")


async def test_the_prompts_of_a_run_lead_here(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(PromptsScreen(run))
        await until_shown(pilot, "Prompts · 3")
        await pilot.press("j", "K")
        await until_shown(pilot, "ranked for prompt other by ekfac")


async def test_a_clone_is_put_beside_the_run_it_was_made_of(own: RunDir) -> None:
    from pipeline.contract.run.new_run import clone_run

    clone = RunDir(own.root.with_name("again"))
    clone_run(own, clone)
    for opened, told in ((clone, "compare › small · again"), (own, "is not here")):
        app = app_of(opened)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until_shown(pilot, "Stages · ")
            await pilot.press("C")
            await until_shown(pilot, told)


def summarise(run: RunDir) -> None:
    """What the dashboard reads of a scoring besides the scores."""
    write_answers(run, [GreedyAnswer(one.id, one.prompt, one.completion) for one in PROMPTS])
    write_scores_summary(
        run,
        ScoresSummary(
            default_method=METHODS[0],
            methods=METHODS,
            prompts=len(PROMPTS),
            examples=27,
            modules=(),
            known=KnownAnswers(0, 3),
            evaluation={},
            preflight=None,
            warnings=(),
            seconds={},
        ),
    )
    as_written(run, "scores")
    assert freshness.is_fresh("scores", load_settings(run.settings), run)
