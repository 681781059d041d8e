"""The list of runs: every key of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from pipeline.contract.results.scores import Retrieval, read_scores_summary, write_scores_summary
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.remarks import Remarks, read_remarks, write_remarks
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import GROUPS
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import (
    own_settings,
    profile,
    render_settings,
    starter_prompts,
)
from pipeline.contract.settings.prompts import load_prompts
from tests.tui import sample_run
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.person.user import User
from tui.screens.dialogs.new_run import MODELS, PLANS, NewRunForm
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.chart import Chart
from tui.widgets.run_list import RunList, look_of

AGES = {"oldest": 3000, "older": 2000, "newest": 1000}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs of different ages, losses and sizes."""
    folder = tmp_path / "runs"
    for number, (name, age) in enumerate(AGES.items()):
        run = sample_run.new_run(folder, name)
        with sample_run.seconds_ago(age):
            events = EventWriter(run.events, "train")
            events.started(1)
            for step in range(50):
                events.metric("loss", 5.0 - number - step / 50, step)
            events.metric("validation_loss", 4.5 - number, 50)
            if name == "older":
                events.failed("no luck")
        (run.root / "weight").write_bytes(b"x" * 10_000 * (number + 1))
    return folder


def names(app: HeadwaterApp) -> list[str]:
    return [row.run.name for row in app.screen.query_one(RunList).rows]


def line_of(app: HeadwaterApp, name: str) -> str:
    return next(line for line in screen_text(app).splitlines() if f" {name} " in line)


def put_cursor_on(app: HeadwaterApp, name: str) -> None:
    app.screen.query_one(RunList).cursor = names(app).index(name)


async def test_a_line_tells_how_a_run_stands_of_what_it_is_and_what_came_of_it(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(150, 24)) as pilot:
        await until(pilot, lambda: screen_text(app).count("KiB") == 3, seconds=30)
        line = line_of(app, "older")
        held = sum(file.stat().st_size for file in (runs / "older").rglob("*") if file.is_file())
        told = ("✗ failed", "train", "nano", "demo", "3.02", "3.5", "33 min ago")
        for word in (*told, f"{held / 1024:.0f} KiB"):
            assert word in line


async def test_a_small_screen_keeps_state_loss_age_mrr_and_tags(runs: Path) -> None:
    write_remarks(RunDir(runs / "older"), Remarks(("best", "two")))
    scored = sample_run.scored_run(runs, "scored")
    summary = read_scores_summary(scored)
    known = {summary.default_method: Retrieval(recall=0.5, k=5, mrr=0.875, top1=0.5)}
    write_scores_summary(scored, replace(summary, evaluation=known))
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "0.88")
        header = next(line for line in screen_text(app).splitlines() if "state" in line)
        assert header.split() == ["│", "run", "state", "val", "loss", "MRR", "tags", "age▼", "│"]
        told = line_of(app, "older").split("older")[1].split("│")[0].split()
        assert told == ["✗", "failed", "3.5", "–", "best", "two", "33", "min", "ago"]


async def test_120_columns_hold_all_that_is_asked_for_most(runs: Path) -> None:
    run = RunDir(runs / "newest")
    write_remarks(run, Remarks(("best", "small"), "with tied weights"))
    sample_run.finish(run, "prepare", "train", "factors", "scores")
    sample_run.write_rankings(run)
    summary = read_scores_summary(run)
    known = {summary.default_method: Retrieval(recall=0.5, mrr=0.75, top1=0.5, k=5)}
    write_scores_summary(run, replace(summary, evaluation=known))
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "0.75")
        shown = app.screen.query_one(RunList).columns
        assert {"model", "data", "val loss", "MRR", "tags", "note", "age"} <= set(shown)
        assert "best small" in line_of(app, "newest")
        assert "with tied" in line_of(app, "newest")


async def test_without_tags_and_figures_their_columns_give_their_room_away(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        header = next(line for line in screen_text(app).splitlines() if "state" in line)
        assert header.split() == ["│", "run", "state", "model", "val", "loss", "age▼", "│"]


async def test_tags_and_note_are_edited_in_a_form_and_found_by_the_filter(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "older")
        await pilot.press("e")
        await until_shown(pilot, "Tags and note of older")
        await pilot.press(*"best, ti", "'", "f2")
        await until_shown(pilot, "tags ✗ tag")
        await pilot.press("backspace", "tab", *"[b]odd", "f2")
        await until_shown(pilot, "best ti")
        await until_shown(pilot, "[b]odd")
        await pilot.press("slash", *"tag:best", "enter")
        await until(pilot, lambda: names(app) == ["older"])
    assert read_remarks(RunDir(runs / "older")) == Remarks(("best", "ti"), "[b]odd")


async def test_a_fault_of_the_filter_is_told_beside_it_and_the_filter_before_holds(
    runs: Path,
) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        await pilot.press("slash")
        await until_shown(pilot, "loss<0.6 tag:best state:done -word")
        await pilot.press(*"loss<4 lost<3", "enter")
        await until_shown(pilot, "✗ there is no field 'lost'; fields: run, state")
        assert names(app) == ["newest"]  # as at the last letter with which it was one
        assert app.screen.query_one("#filter").has_focus
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 3)
        assert "there is no field" not in screen_text(app)


async def test_the_filter_takes_words_of_name_and_state(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        await pilot.press("slash", *"lost NEW", "enter")
        await until(pilot, lambda: names(app) == ["newest"])
        await until_shown(pilot, "1 of 3 with “lost NEW”")
        await pilot.press("slash", "x", "enter")
        await until_shown(pilot, "no run is as the filter says")
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 3)
        assert app.screen.query_one("#filter", Input).value == ""


async def test_columns_are_sorted_by_and_turned_around(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: names(app) == ["newest", "older", "oldest"])
        for column in ("size", "run"):
            await pilot.press("o")
            await until_shown(pilot, f"{column}▼")
        assert names(app) == ["newest", "older", "oldest"]
        await pilot.press("b")
        await until_shown(pilot, "run▲")
        assert names(app) == ["oldest", "older", "newest"]
        await pilot.press("b")
        for column in app.screen.query_one(RunList).columns[1:]:
            await pilot.press("o")
            await until_shown(pilot, f"{column}▼")
            if column in ("val loss", "age"):
                assert names(app) == ["newest", "older", "oldest"]


async def test_a_pinned_run_stays_at_the_top_and_is_remembered(runs: Path, tmp_path: Path) -> None:
    def user() -> User:
        return User(state=tmp_path / "state" / "state.json")

    app = HeadwaterApp(runs, user=user())
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "oldest")
        await pilot.press("asterisk")
        await until(pilot, lambda: names(app)[0] == "oldest")
        await until_shown(pilot, "⚑   oldest")
    app = HeadwaterApp(runs, user=user())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: names(app)[:1] == ["oldest"])
        await pilot.press("asterisk")
        await until(pilot, lambda: names(app)[0] == "newest")


async def test_marked_runs_share_a_chart(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(100, 40)) as pilot:
        await until_shown(pilot, "Runs · 3")
        await pilot.press("space", "space")
        await until_shown(pilot, "Loss · 2 marked · C compares")
        chart = app.screen.query_one(Chart)
        assert {one.name for one in chart.series} == {"newest", "older"}
        assert len({one.ink for one in chart.series}) == 2
        assert len({one.mark for one in chart.series}) == 2
        for one in chart.series:
            assert f"{one.mark} {one.name}" in screen_text(app)
        looks = {one.name: (one.ink, one.mark) for one in chart.series}
        put_cursor_on(app, "newest")
        await pilot.press("space")
        await until_shown(pilot, "Loss · 1 marked")
        assert [(one.ink, one.mark) for one in chart.series] == [looks["older"]]


async def test_marked_runs_are_drawn_by_any_metric_by_steps_tokens_or_time(runs: Path) -> None:
    with sample_run.seconds_ago(900):
        events = EventWriter(RunDir(runs / "newest").events, "train")
        for step in (0, 50):
            events.metric("tokens", 4096 * step, step)
    app = HeadwaterApp(runs)
    async with app.run_test(size=(100, 40)) as pilot:
        await until_shown(pilot, "Runs · 3")
        await pilot.press("space", "space")
        await until_shown(pilot, "Loss · 2 marked")
        await until_shown(pilot, "step ")
        await pilot.press("m")
        await until_shown(pilot, "Validation loss · 2 marked")
        chart = app.screen.query_one(Chart)
        assert {one.curve.last for one in chart.series} == {2.5, 3.5}
        await pilot.press("m")
        await until_shown(pilot, "─ Loss · 2 marked")
        await pilot.press("comma")
        await until_shown(pilot, "Loss · 2 marked · C compares · not known of older")
        await until_shown(pilot, "tokens 0")
        assert [one.name for one in chart.series] == ["newest"]
        await pilot.press("comma")
        await until_shown(pilot, "time 0:00")
        assert len(chart.series) == 2
        await pilot.press("tilde")
        await until_shown(pilot, "smoothed over 2%")
        await pilot.press("tilde", "tilde", "tilde")
        await until(pilot, lambda: "smoothed" not in screen_text(app))


async def test_the_chart_comes_and_goes_on_a_small_screen(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        chart = app.screen.query_one(Chart)
        assert not chart.display
        await pilot.press("v")
        await until_shown(pilot, "step ")
        await pilot.press("plus")
        await until_shown(pilot, "follows · 0 shows all")
        await pilot.press("0", "l")
        await until_shown(pilot, "log scale")
        await pilot.press("full_stop", "left")
        await until_shown(pilot, "step 48")
        await pilot.press("v")
        await until(pilot, lambda: not chart.display)


def test_a_run_keeps_its_look_whichever_others_are_marked() -> None:
    first = look_of("demo", set())
    assert first == look_of("demo", set())
    assert first is not None
    assert look_of("demo", {first}) != first
    assert look_of("demo", set(range(8))) is None


async def test_a_run_is_cloned_under_a_new_name(runs: Path) -> None:
    source = RunDir(runs / "older")
    source.prompts.write_text('{"id": "a", "prompt": "b", "completion": " c"}\n')
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "older")
        await pilot.press("d")
        await until_shown(pilot, "Clone older")
        entry = app.screen.query_one(Input)
        assert entry.value == "older-2"
        entry.value = "newest"
        await until_shown(pilot, "there is a run 'newest' already")
        await pilot.press("enter")
        entry.value = "../away"
        await until_shown(pilot, "letters, digits")
        entry.value = "again"
        await pilot.press("enter")
        await until(pilot, lambda: "again" in names(app))
    clone = RunDir(runs / "again")
    assert clone.settings.read_text() == source.settings.read_text()
    assert clone.prompts.read_text() == source.prompts.read_text()
    assert not clone.events.exists()


async def test_a_run_is_put_away_and_brought_back(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "older")
        await pilot.press("z")
        await until_shown(pilot, "Put older away?")
        await pilot.press("n", "z")
        await until_shown(pilot, "Put older away?")
        assert (runs / "older").exists()
        await pilot.press("y")
        await until(pilot, lambda: names(app) == ["newest", "oldest"])
        await pilot.press("Z")
        await until_shown(pilot, "Put away · 1")
        assert names(app) == ["older"]
        assert "n Clone" not in screen_text(app)
        await pilot.press("z")
        await until_shown(pilot, "no run was put away")
        await pilot.press("escape")
        await until(pilot, lambda: sorted(names(app)) == sorted(AGES))
    assert (runs / "older" / "weight").exists()


async def test_a_run_is_deleted_only_after_a_question(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "oldest")
        await pilot.press("delete")
        await until_shown(pilot, "Delete oldest?")
        await pilot.press("n")
        await pilot.pause()
        assert (runs / "oldest").exists()
        await pilot.press("delete")
        await until_shown(pilot, "Delete oldest?")
        await pilot.press("y")
        await until(pilot, lambda: names(app) == ["newest", "older"])
    assert sorted(path.name for path in runs.iterdir()) == ["newest", "older"]


@pytest.mark.parametrize("key", ["z", "delete"])
async def test_a_run_at_work_is_neither_put_away_nor_deleted(runs: Path, key: str) -> None:
    lock = acquire_lock(RunDir(runs / "older"))
    app = HeadwaterApp(runs)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "older")
        await pilot.press(key)
        await until_shown(pilot, {"z": "Put older away?", "delete": "Delete older?"}[key])
        await pilot.press("y")
        await until_shown(pilot, "is being worked on")
        assert len(names(app)) == 3
    assert (runs / "older" / "weight").exists()
    os.close(lock)


async def test_enter_opens_and_escape_comes_back(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "older")
        await pilot.press("enter")
        await until_shown(pilot, "✗ train failed")
        assert isinstance(app.screen, RunScreen)
        await pilot.press("escape")
        await until_shown(pilot, "Runs · 3")


async def test_the_last_line_keeps_help_and_quit_and_takes_clicks(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(60, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        last = screen_text(app).splitlines()[-1]
        assert last.rstrip().endswith("…  ? Help  q Quit")
        await pilot.click("KeyBar", offset=(last.index("Find"), 0))
        await until(pilot, lambda: app.screen.query_one("#filter").display)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("z", "y"), "any more"),
        (("delete", "y"), "any more"),
        (("d", "x", "enter"), "there is no settings file"),
    ],
)
async def test_a_run_that_somebody_moved_meanwhile_is_told(
    runs: Path, keys: tuple[str, ...], told: str
) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "older")
        (runs / "older").rename(runs.parent / "elsewhere")
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await until_shown(pilot, told)
        await until_shown(pilot, "Runs · 2")


async def test_cursor_and_marks_stay_where_they_were_left(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Runs · 3")
        put_cursor_on(app, "newest")
        await pilot.press("space")
        put_cursor_on(app, "older")
        await pilot.press("d", "enter")  # a clone, which comes first in the list
        await until(pilot, lambda: "older-2" in names(app))
        assert chosen(app) == ("older", {"newest"})
        await pilot.press("Z")
        await until_shown(pilot, "Put away · 0")
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 4)
        assert chosen(app) == ("older", {"newest"})
        await pilot.press("enter")
        await until_shown(pilot, "✗ train failed")
        await pilot.press("escape")
        await until_shown(pilot, "Runs · 4")
        assert chosen(app) == ("older", {"newest"})
        await pilot.press("z", "y")
        await until(pilot, lambda: "older" not in names(app))
        assert chosen(app)[1] == {"newest"}


async def test_esc_from_the_run_that_was_opened_first_stands_on_it_in_the_list(runs: Path) -> None:
    app = HeadwaterApp(runs, RunDir(runs / "oldest"))
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages")
        await pilot.press("escape")
        await until_shown(pilot, "Runs · 3")
        await until(pilot, lambda: chosen(app)[0] == "oldest")


def chosen(app: HeadwaterApp) -> tuple[str, set[str]]:
    """The run under the cursor, and those that are marked."""
    shown = app.screen.query_one(RunList)
    assert shown.selected
    return shown.selected.run.name, {root.name for root in shown.marked}


async def test_without_runs_the_footer_offers_to_make_one(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "no runs yet")
        footer = screen_text(app).splitlines()[-1]
        assert "N New" in footer
        assert "Order" not in footer
        sample_run.new_run(tmp_path, "first")
        await until_shown(pilot, "o Order")


async def test_without_runs_enter_starts_the_demo_after_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(
        "tui.processes.launcher.start_stages",
        lambda run, stages, again=(): started.append((run.name, stages)),
    )
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "no runs yet: Enter starts the demo, N makes one of your own text")
        await pilot.press("enter")
        await until_shown(pilot, "Start the demo?")
        await pilot.press("d", "enter")
        await until_shown(pilot, "Start the demo?")
        assert not started
        await pilot.press("y")
        await until_shown(pilot, "headwater › demo")
    assert started == [("demo", GROUPS["all"])]
    assert load_settings(tmp_path / "demo/settings.toml").data.source == "demo"


async def test_a_run_that_was_begun_from_the_empty_list_is_in_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.runs._INTERVAL_S", 3600.0)
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "no runs yet")
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        screen.show_run(sample_run.new_run(tmp_path, "demo"))
        await until_shown(pilot, "headwater › demo")
        await pilot.press("escape")
        await until_shown(pilot, "Runs · 1")
        assert names(app) == ["demo"]


async def test_what_can_be_done_with_a_run_is_told_once_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.runs._INTERVAL_S", 0.05)
    person = User(tmp_path / "config.toml", tmp_path / "state.json")
    app = HeadwaterApp(tmp_path / "runs", None, person)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "no runs yet")
        assert "New here?" not in screen_text(app)
        sample_run.new_run(tmp_path / "runs", "demo")
        await until_shown(pilot, "Enter opens a run")


async def test_a_run_of_ones_own_text_is_made_in_a_form(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books/one.txt").write_text("a tale " * 1000)
    runs = tmp_path / "runs"
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "no runs yet")
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, NewRunForm))
        await pilot.press(*"no")
        assert "✗" not in screen_text(app)  # it is being written; the rest has not been looked at
        await pilot.press("tab")
        await until_shown(pilot, "text ✗ there is no such file or folder")
        assert "name ✗" not in screen_text(app)
        await pilot.press("f2")
        await until_shown(pilot, "text ✗ there is no such file or folder")
        await until_shown(pilot, "name ✗ the run needs a name")
        app.screen.query_one("#text", Input).value = str(tmp_path / "books")
        await until_shown(pilot, "1 file, 6.8 KiB: about 1,750 tokens")
        app.screen.query_one("#model", Input).value = "some/model"
        app.screen.query_one("#name", Input).value = "tales"
        await pilot.press("shift+tab", "down", "space")
        await until_shown(pilot, "▐●▌ train an adapter")
        assert "▐ ▌ fine-tune a model on the text" in screen_text(app)
        await pilot.press("f2")
        await until_shown(pilot, "headwater › tales")
        await until_shown(
            pilot, "P edits its prompts, which are samples; S its settings; a runs it"
        )
    made = load_settings(runs / "tales/settings.toml")
    assert (made.data.path, made.model.name, made.lora.rank) == (
        str(tmp_path / "books"),
        "some/model",
        16,
    )
    assert [prompt.id for prompt in load_prompts(runs / "tales/prompts.jsonl")]


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_of_the_form_makes_a_run(name: str, tmp_path: Path) -> None:
    text, model = tmp_path / "text.jsonl", str(tmp_path / "model")
    text.write_text('{"text": "a tale"}')
    settings = own_settings(name, str(text), model)
    run = RunDir(tmp_path / "run")
    write_run(run, render_settings(settings), tmp_path / "x.toml", starter_prompts(settings))
    made = load_settings(run.settings)
    named = made.model.trained if name == "trained-elsewhere" else made.model.name
    assert named == model or made.model.init == "scratch"
    assert load_prompts(run.prompts)


@pytest.mark.parametrize("name", [name for name in PLANS if name != "trained-elsewhere"])
def test_the_form_says_which_model_stands_for_an_empty_field(name: str) -> None:
    model = profile(name).model
    said = "a small new one" if model.init == "scratch" else model.name.rpartition("/")[2]
    assert said in MODELS[name]


async def test_the_form_of_a_new_run_says_that_a_text_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("A short text.\n" * 200)
    (tmp_path / "many.jsonl").write_text('{"text": "A short text."}\n' * 200)
    told = "a .txt file is one document; for many short texts use a .jsonl"
    app = HeadwaterApp(tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "no runs yet")
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, NewRunForm))
        app.screen.query_one("#text", Input).value = str(tmp_path / "many.txt")
        await until_shown(pilot, told)
        app.screen.query_one("#text", Input).value = str(tmp_path / "many.jsonl")
        await until_shown(pilot, "1 file, 5.1 KiB")
        assert told not in screen_text(app)
