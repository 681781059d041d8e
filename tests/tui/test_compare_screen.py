"""Runs side by side: every page and key of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Event

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_run, sample_scores
from tests.tui.sample_completions import repaired_runs
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.screens.compare import CompareScreen
from tui.screens.runs import RunsScreen
from tui.widgets.chart import Chart
from tui.widgets.run_list import RunList
from tui.widgets.table import Table

HOSTILE = "\x1b[2J\u202e[/b]"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs with results that trace the same prompts, and one in which nothing has run."""
    folder = tmp_path / "runs"
    for name in ("books", "letters"):
        run = sample_run.scored_run(folder, name)
        sample_run.finish(run, "evaluate", "benchmark", "validate")
        sample_evaluation.write_evaluation(run)
        sample_evaluation.write_validation(run)
    sample_run.new_run(folder, "new")
    return folder


def other_settings(run: RunDir) -> None:
    text = run.settings.read_text()
    run.settings.write_text(text.replace("epochs = ", "epochs = 1", 1))


async def compare(app: HeadwaterApp, pilot: Pilot[None], *names: str) -> CompareScreen:
    """Marks runs and opens the screen."""
    await until_shown(pilot, "Runs · ")
    shown = app.screen.query_one(RunList)
    await until(pilot, lambda: shown.count == 3)
    for name in names:
        shown.cursor = [row.run.name for row in shown.rows].index(name)
        await pilot.press("space")
    await pilot.press("C")
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))
    assert isinstance(app.screen, CompareScreen)
    return app.screen


async def test_one_marked_run_is_not_enough_and_what_to_do_is_told(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "Runs · 3")
        await pilot.press("space", "C")
        await until_shown(pilot, "mark two runs or more, with Space; then C")
        assert isinstance(app.screen, RunsScreen)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_settings_that_differ_stand_side_by_side(runs: Path, size: tuple[int, int]) -> None:
    other_settings(RunDir(runs / "letters"))
    app = HeadwaterApp(runs)
    async with app.run_test(size=size) as pilot:
        await compare(app, pilot, "books", "letters")
        await until_shown(pilot, "Settings · 1")
        line = next(one for one in screen_text(app).splitlines() if "train.epochs" in one)
        assert line.split()[-3:-1] == ["10.0", "110.0"]
        assert "  books    10.0" in screen_text(app)
        assert "  letters  110.0" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_results_have_their_intervals_and_the_change_between_two(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await compare(app, pilot, "books", "letters")
        await pilot.press("2")
        await until_shown(pilot, "LDS, ekfac_normalized")
        line = next(one for one in screen_text(app).splitlines() if "LDS, ekfac_norm" in one)
        assert line.count("–") == 2  # an interval in each run
        assert "+0" in line


async def test_three_runs_stand_side_by_side_and_what_one_lacks_is_missing(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 40)) as pilot:
        await compare(app, pilot, "books", "letters", "new")
        await pilot.press("2")
        await until_shown(pilot, "LDS, ekfac_normalized")
        table = app.screen.query_one(Table)
        assert [column.title for column in table.columns] == ["result", "books", "letters", "new"]
        assert {row.cells[3].text for row in table.rows} == {"–"}
        await pilot.press("3")
        await until_shown(pilot, "run new: no rankings yet")
        assert not table.display


async def test_rankings_stand_side_by_side_with_what_differs(runs: Path) -> None:
    sample_scores.turn_scores(RunDir(runs / "letters"))
    app = HeadwaterApp(runs)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await compare(app, pilot, "books", "letters")
        await pilot.press("3")
        await until_shown(pilot, "prompt 1 of 6")
        await until_shown(pilot, "Rankings · 50")
        text = screen_text(app)
        assert "Mara Voss was born in → Tellin" in text
        assert "of the first 10 in all of them" in text
        table = screen.query_one(Table)
        assert [column.title for column in table.columns] == ["rank", "books", "letters"]
        first, second = (cell.text for cell in table.rows[0].cells[1:])
        assert "★" in first
        assert second.startswith("+")  # the last one of the other run
        assert table.rows[0].item[0].example_id in str(screen.query_one("#row", Static).content)
        await pilot.press("n")
        await until_shown(pilot, "prompt 2 of 6")
        await until_shown(pilot, "Tilo Brandt was born in")
        await pilot.press("p", "p")
        await until_shown(pilot, "prompt 6 of 6")


async def test_the_rankings_come_however_soon_their_page_is_turned_to(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = Event()
    really = CompareScreen._read_results

    def read(self: CompareScreen) -> None:
        may_read.wait(60)
        really(self)

    monkeypatch.setattr(CompareScreen, "_read_results", read)
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(app, pilot, "books", "letters")
        await pilot.press("3", "n", "p", "4", "3")
        assert "reading…" in screen_text(app)
        may_read.set()
        await until_shown(pilot, "prompt 1 of 6")
        await pilot.press("n", "n", "n", "p")
        await until_shown(pilot, "prompt 3 of 6")
        assert "Ines Okafor" in str(screen.query_one("#heading", Static).content)


async def test_equal_rankings_are_said_to_be_equal(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(app, pilot, "books", "letters")
        await pilot.press("3")
        await until_shown(pilot, "10 of the first 10 in all of them")
        assert {row.cells[2].text[0] for row in screen.query_one(Table).rows} == {"="}


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_completions_stand_side_by_side_before_and_after(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    looks = {run: look for look, run in enumerate(repaired_runs(tmp_path))}
    app = HeadwaterApp(tmp_path / "runs")
    async with app.run_test(size=size) as pilot:
        screen = CompareScreen(looks)
        app.push_screen(screen)
        await pilot.press("5")
        await until_shown(pilot, "1 of 2 fell, 1 of them by more than 1 nat")
        lines = [" ".join(line.split()) for line in screen_text(app).splitlines()]
        rows = [tuple(cell.text for cell in row.cells) for row in screen.query_one(Table).rows]
        assert rows == [
            ("◆ bad-0", "-0.50", "-4.50", "-4.00"),
            ("◆ bad-1", "-0.25", "-8.25", "-8.00"),
            ("Σ set bad, mean of 2", "-0.38", "-6.38", "-6.00"),
            ("Σ all other prompts, mean of 2", "-1.50", "-2.25", "-0.75"),
            ("  good-1", "-2.00", "-4.00", "-2.00"),
            ("  good-0", "-1.00", "-0.50", "+0.50"),
        ]
        assert any("◆ bad-1 -0.25 -8.25 -8.00" in line for line in lines)
        assert "He drinks → ink" in screen_text(app)


async def test_completions_that_a_run_lacks_are_told_with_their_stage(tmp_path: Path) -> None:
    before, after = repaired_runs(tmp_path)
    after.done("generate").unlink()
    app = HeadwaterApp(tmp_path / "runs")
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(CompareScreen({before: 0, after: 1}))
        await pilot.press("5")
        await until_shown(pilot, "run after: no generated answers yet")
        assert "headwater run generate --run after" in " ".join(screen_text(app).split())


async def test_curves_lie_over_each_other(runs: Path) -> None:
    app = HeadwaterApp(runs)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await compare(app, pilot, "books", "letters")
        await pilot.press("4")
        await until_shown(pilot, "Loss · 2 runs")
        await until(pilot, lambda: len(screen.query_one(Chart).series) == 2)
        await pilot.press("m")
        await until_shown(pilot, "Validation loss · 2 runs")
        await pilot.press("comma", "comma", "tilde")
        await until_shown(pilot, "smoothed over 2%")
        assert screen.query_one(Chart).axis.name == "time"
        await pilot.press("1")
        await until_shown(pilot, "no setting differs")


async def test_a_run_that_went_meanwhile_and_hostile_texts_are_borne(tmp_path: Path) -> None:
    for name in ("one", "two", "gone"):
        run = sample_run.scored_run(tmp_path, name, HOSTILE)
        sample_run.finish(run, "evaluate")
        sample_evaluation.write_evaluation(run, HOSTILE)
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 3")
        shutil.rmtree(tmp_path / "gone")
        runs = (RunDir(tmp_path / name) for name in ("one", "gone"))
        app.push_screen(CompareScreen({run: look for look, run in enumerate(runs)}))
        await until_shown(pilot, "there is no settings file")
        await pilot.press("2", "3", "4", "1", "escape")
        await until_shown(pilot, "Runs · ")
        await until(pilot, lambda: app.screen.query_one(RunList).count == 2)
        await pilot.press("space", "space", "C", "3")
        await until_shown(pilot, "Rankings · 50")
        assert "\x1b" not in screen_text(app)
        assert "␛" in screen_text(app)
