"""Every screen and every key, against run folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.processes import acquire_lock, is_locked
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tests.tui.watching import at_work, screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.content.ink import Part
from tui.keys import KEYS
from tui.screens.dialogs.confirm import ConfirmDialog
from tui.screens.dialogs.help import Help
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.chart import Chart
from tui.widgets.lines import Lines
from tui.widgets.log_panel import LogPanel
from tui.widgets.machine import MachinePanel
from tui.widgets.ranking_table import RankingTable
from tui.widgets.run_list import RunList
from tui.widgets.stage_list import StageList

SIZES = [(80, 24), (120, 40), (200, 60)]


# Runs


async def test_without_runs_it_says_what_to_press(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(100, 24)) as pilot:
        await until_shown(pilot, "no runs yet: Enter starts the demo")


async def test_the_runs_are_listed_and_opened(tmp_path: Path) -> None:
    sample_run.scored_run(tmp_path, "finished")
    run = sample_run.new_run(tmp_path, "training")
    sample_run.train_events(run, done=0.4)
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        lines = screen_text(app).splitlines()
        assert any("training" in line and "? lost" in line and "just now" in line for line in lines)
        assert any("finished" in line and "✓ done" in line for line in lines)
        listed = app.screen.query_one(RunList)
        listed.cursor = [row.run.name for row in listed.rows].index("finished")
        await pilot.press("enter")
        await until_shown(pilot, "✓ all stages done")
        assert stands_on(app, RunScreen)
        await pilot.press("escape")
        assert stands_on(app, RunsScreen)


async def test_a_run_whose_settings_do_not_parse_says_so(tmp_path: Path) -> None:
    sample_run.new_run(tmp_path, "good")
    sample_run.new_run(tmp_path, "broken").settings.write_text("[train]\nepoch = 3\n")
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "✗ settings")
        listed = app.screen.query_one(RunList)
        listed.cursor = [row.run.name for row in listed.rows].index("broken")
        await until_shown(pilot, "did you mean epochs?")
        await pilot.press("enter")
        await until_shown(pilot, "✗ cannot be read")


# Run


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_at_work_shows_progress_and_time_left(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    run = at_work(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, "● train running")
        await until_shown(pilot, "c stops it")
        assert "Stage · train" in screen_text(app)
        await pilot.press("2")
        await until_shown(pilot, "step  119")  # the log is read after the run
        text = screen_text(app)
        assert "running" in text
        assert "42%" in text
        assert "training · 168 of 400 steps" in text
        assert "Stages · 1 of 8 done" in text
        assert "train" in str(app.screen.query_one(LogPanel).border_title)
        assert "resident 640 MiB" in text
        assert "c Cancel" in text
        assert "Run all" not in text


async def test_the_screen_follows_a_resize(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "● train running")
        for size in ((80, 24), (200, 60), (40, 12)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            screen_text(app)


async def test_the_loss_is_drawn_and_its_scale_changes(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "◆ validation loss")
        chart = app.screen.query_one(Chart)
        text = screen_text(app)
        assert any(0x2800 < ord(letter) < 0x2900 for letter in text)
        await pilot.press("l")
        await until_shown(pilot, "log scale")
        assert chart.log_scale
        events = EventWriter(run.events, "train")
        events.metric("loss", float("nan"), 169)
        await until_shown(pilot, "× 1 not a number")


async def test_a_failure_shows_what_and_what_to_do(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    sample_run.finish(run, "prepare")
    events = EventWriter(run.events, "train")
    events.started(1)
    events.failed("there is no module 'x[/]'", "valid: model.layers.0-3")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "✗ train failed: there is no module 'x[/]'")
        assert "valid: model.layers.0-3" in screen_text(app)
        selected = app.screen.query_one(StageList).selected
        assert selected is not None
        assert selected.stage == "train"
        assert "r Resume" in screen_text(app)


async def test_stale_stages_say_so(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.settings.write_text(run.settings.read_text().replace("\nepochs = ", "\nepochs = 1"))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "≠ train     stale")
        await pilot.press("G")
        await until_shown(pilot, "≠ report    stale")
        await pilot.press("I")
        await until_shown(pilot, "≠ stale: the settings have changed since")


async def test_a_deleted_run_is_told(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "waiting")
        run.root.rename(tmp_path / "elsewhere.away")
        await until_shown(pilot, "is not there any more")


async def test_a_log_that_is_followed_is_followed_in_a_smaller_panel(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=(120, 50)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "step  119")
        await pilot.resize_terminal(120, 44)
        await until_shown(pilot, "step  119")
        panel = app.screen.query_one(LogPanel)
        panel.action_jump(0)
        await pilot.pause()
        await pilot.resize_terminal(120, 42)
        await pilot.pause()
        assert panel.scroll_y == 0


async def test_the_log_grows_over_the_screen_and_back(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "step  119")
        await pilot.press("enter")
        await until_shown(pilot, "step  105")
        assert app.screen.query_one(LogPanel).has_focus
        await pilot.press("g")
        await until_shown(pilot, "step    1")
        await pilot.press("escape")
        assert app.screen.query_one(StageList).has_focus


async def test_another_stage_shows_another_log(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    run.log("prepare").write_text("read 12 [rows]\n")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "step  119")
        await pilot.press("k")
        await until_shown(pilot, "Log · prepare")
        await until_shown(pilot, "read 12 [rows]")


async def test_the_machine_is_shown(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(MachinePanel).machine)
        await until_shown(pilot, "iB of ")
        assert "cpu" in screen_text(app)


async def test_cancel_asks_first_and_a_second_press_kills(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "● train running")
        await pilot.press("c")
        await until_shown(pilot, "Stop train?")
        await pilot.press("n")
        await pilot.pause()
        assert not run.cancel_request.exists()
        await pilot.press("c", "y")
        await until_shown(pilot, "◐ train stopping")
        assert run.cancel_request.read_text() == "stop"
        await pilot.press("c")
        await until(pilot, lambda: run.cancel_request.read_text() == "force")


async def test_a_finished_stage_is_run_again_only_after_a_question(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("s")
        await until_shown(pilot, "Run prepare again?")
        await pilot.press("escape")
        await pilot.pause()
        assert run.done("prepare").exists()


async def test_a_stage_that_is_started_runs_and_its_failure_is_told(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path, "own")
    text = run.settings.read_text().replace('source = "demo"', 'source = "local"')
    run.settings.write_text(text.replace('path = ""', f'path = "{tmp_path / "nowhere.txt"}"'))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "○ prepare")
        await pilot.press("s")
        await until_shown(pilot, "Run prepare?")  # nobody knows how long it takes
        await pilot.press("y")
        await until_shown(pilot, "✗ prepare failed", seconds=120)
        await until(pilot, lambda: not is_locked(run))


async def test_a_busy_run_refuses_a_second_start(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until_shown(pilot, "waiting")
        acquire_lock(run)
        assert isinstance(app.screen, RunScreen)
        app.call_later(app.screen.action_run_all)
        await until_shown(pilot, "is being worked on")


# Keys, help, commands, leaving


async def test_help_lists_the_keys_of_the_screen(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(100, 80)) as pilot:
        await pilot.press("question_mark")
        assert stands_on(app, Help)
        await pilot.pause()
        text = screen_text(app)
        for key in KEYS:
            if key.scope in ("run", "chart", "stages", "scroll", "text", "app"):
                assert key.help in text
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


async def test_a_command_is_found_by_its_name(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("colon", *"cancel")
        await until_shown(pilot, "No matches found")
        await pilot.press("escape", "colon", *"help")
        await until_shown(pilot, "show all keys (? F1)")
        await pilot.press("escape", "colon", *"which taught")
        await until_shown(pilot, "Influence browse which examples taught an answer (I)")
        await pilot.press("escape", "colon", *"influence")
        await until_shown(pilot, "browse which examples taught an answer")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RankingsScreen))


async def test_another_run_is_gone_to_from_anywhere(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    sample_run.new_run(tmp_path, "other")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "all stages done")
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("colon", *"to other")
        await until_shown(pilot, "Go to other")
        await pilot.press("enter")
        await until_shown(pilot, "headwater › other")
        await pilot.press("escape")
        await until_shown(pilot, "Runs · 2")


async def test_a_run_that_lies_elsewhere_leads_to_the_runs_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sample_run.new_run(tmp_path / "elsewhere")
    sample_run.new_run(tmp_path / "elsewhere", "beside")
    sample_run.new_run(tmp_path / "runs", "not-this")
    monkeypatch.chdir(run.root)
    for named in (run, RunDir(Path("."))):
        app = HeadwaterApp(tmp_path / "runs", named)
        async with app.run_test(size=(80, 24)) as pilot:
            await until_shown(pilot, "Stages")
            await pilot.press("escape")
            await until_shown(pilot, "Runs · 2")
            assert {"beside", run.name} <= set(screen_text(app).split())
            selected = app.screen.query_one(RunList).selected
            assert selected
            assert selected.run.name == run.name


async def test_what_is_not_saved_is_not_left_by_a_command(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "waiting")
        await pilot.press("S")
        await until_shown(pilot, "run.seed")
        await pilot.press("j", "right")
        await until_shown(pilot, "w saves * lines")
        await pilot.press("colon", *"go to demo")
        await until_shown(pilot, "No matches found")


async def test_no_key_belongs_to_a_multiplexer_or_to_flow_control() -> None:
    taken = {f"ctrl+{letter}" for letter in "pqsabzjmih"}
    assert not taken & {name for key in KEYS for name in key.keys.split(",")}
    app = HeadwaterApp(Path("nowhere"))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert not taken & set(app.screen.active_bindings)


async def test_leaving_while_stages_run_says_how_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_RUNS", str(tmp_path))
    app = HeadwaterApp(tmp_path, at_work(tmp_path, "busy"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "● train running")
        await pilot.press("q")
        await until_shown(pilot, "headwater tui busy")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.is_running
        await pilot.press("q", "y")
        await until(pilot, lambda: not app.is_running)


async def test_leaving_while_nothing_runs_asks_nothing(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test() as pilot:
        await until_shown(pilot, "waiting")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


async def test_lists_move_by_letters_and_by_mouse(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "top · 1,500")
        await pilot.press("enter", "G")
        table = app.screen.query_one(RankingTable)
        assert table.cursor == 1499
        await until_shown(pilot, "▌   1,500")
        await pilot.press("pageup", "k", "j")
        assert 0 < table.cursor < 1499
        await pilot.press("home")
        assert table.cursor == 0
        await pilot.click(RankingTable, offset=(10, 5))
        assert table.cursor == 3


async def test_a_million_lines_open_and_move_at_once(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs")
        listed = Million()
        await app.screen.mount(listed)
        listed.focus()
        await pilot.press("G")
        assert listed.cursor == 999_999
        await until_shown(pilot, "line 999999")


class Million(Lines):
    """Many lines."""

    def on_mount(self) -> None:
        self.count = 1_000_000

    def line(self, index: int, width: int) -> list[Part]:
        return [(f"line {index}", "plain")]
