"""One run: charts, devices, the log's search, running again from a stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contract.results.examples import CorpusSummary, FileAccount, write_corpus_summary
from pipeline.contract.results.plan import write_plan
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.processes import is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from tests.tui import sample_run
from tests.tui.machines import GIB, EightGpus, TwoGpus
from tests.tui.sample_plan import small_plan
from tests.tui.watching import at_work, screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.hardware import MachineSample
from tui.readers.processes import ProcessSample
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.chart import Chart
from tui.widgets.log_panel import LogPanel
from tui.widgets.stage_list import StageList
from tui.widgets.stage_panel import StagePanel


async def test_the_metric_is_switched_by_key(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    events = EventWriter(run.events, "train")
    for step in range(1, 30):
        events.metric("learning_rate", 2e-5 * step, step)
        events.metric("tokens_per_second", 12_000.0, step)
        events.metric("made_up", 1.0, step)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "● train running")
        chart = app.screen.query_one(Chart)
        for title in ("Learning rate", "Tokens a second", "train: made_up", "Loss"):
            await pilot.press("m")
            assert chart.title == title


async def test_zoom_pan_and_inspection_work_wherever_the_cursor_is(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "━ loss")
        chart = app.screen.query_one(Chart)
        assert app.screen.query_one(StageList).has_focus
        await pilot.press("plus", "plus")
        await until_shown(pilot, "follows · 0 shows all")
        await pilot.press("left")
        await until_shown(pilot, "zoomed · 0 shows all")
        await pilot.press("full_stop")
        assert chart.inspected is not None
        before = chart.inspected
        await pilot.press("left")
        assert chart.inspected < before
        await pilot.press("0")
        assert [chart.window, chart.inspected] == [None, None]
        await pilot.click(Chart, offset=(chart.size.width // 2, 8))
        assert chart.inspected is not None


async def test_every_gpu_has_a_panel_with_named_figures(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    EventWriter(run.events, "train").memory(3 * GIB, 50 * GIB, 55 * GIB, 58 * GIB)
    app = HeadwaterApp(tmp_path, run)
    app._machine = TwoGpus()
    async with app.run_test(size=(100, 40)) as pilot:
        await until_shown(pilot, "gpu 0")
        await pilot.press("D")
        await until_shown(pilot, "97 % of time ≥ 1 kernel ran")
        text = screen_text(app)
        for figure in (
            "gpu 0 · NVIDIA H100",
            "60 GiB used, 1.0 GiB reserved, 19 GiB free",
            "412 of 700 W 64 °C",
            "SM 1980 MHz, memory 2619 MHz",
            "allocated 50 GiB, reserved 55 GiB, peak 58 GiB",
            "▁▁▁",
            "300 GiB of 400 GiB",
            "1.50 0.75 0.25 over 1, 5 and 15 minutes",
        ):
            assert figure in text
        await pilot.press("j")
        await until_shown(pilot, "gpu 1:0 · H100 MIG 1g.10gb · hidden by CUDA_VISIBLE_DEVICES")
        await until_shown(pilot, "n/a (MIG)")
        await pilot.press("escape")
        await until_shown(pilot, "Stages ·")


async def test_on_a_small_screen_gpus_and_host_take_a_line_each(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    app._machine = TwoGpus()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "2 GPUs  62 GiB of 90 GiB 97 %, D: each")
        assert "host    8.0 GiB of 64 GiB, cpu 150 %" in screen_text(app)
        await pilot.resize_terminal(80, 26)
        await until_shown(pilot, "gpu 0   60 GiB of 80 GiB")
        assert "97 % 412 W 64 °C" in screen_text(app)
        assert "gpu 1:0 2.0 GiB of 10 GiB" in screen_text(app)


async def test_a_process_is_ours_by_run_and_stage_or_anothers_by_its_owner(
    tmp_path: Path,
) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    app._machine = TwoGpus()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "2 GPUs")
        await pilot.press("D")
        await until_shown(pilot, "Processes · 3, 1 of Headwater")
        lines = [" ".join(line.split()) for line in screen_text(app).splitlines()]
        for shown in (
            "4711 0 books · train 58 GiB 3.0 GiB 150 %",
            "815 0,1:0 alice · python3 2.0 GiB 1.0 GiB 12 %",
            "77000 0 owner not visible here – – –",
        ):
            assert any(shown in line for line in lines), shown


async def test_eight_gpus_and_the_host_are_all_there_on_a_small_screen(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    app._machine = EightGpus()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "8 GPUs  237 GiB of 560 GiB 33 %, D: each")
        assert "host    8.0 GiB of 64 GiB" in screen_text(app)
        await pilot.press("D")
        await until_shown(pilot, "GPUs · 8")
        text = screen_text(app)
        for number in (0, 1, 2, 3, 4, 6, 7):
            assert f"{10 * number + 1} GiB/80 GiB" in text.replace("1.0 GiB", "1 GiB")
        for shown in ("it fell off the bus", "Host · 16 cores", "300 GiB of 400 GiB", "1.50 0.75"):
            assert shown in text
        await pilot.resize_terminal(80, 18)
        await until_shown(pilot, "1–2 of 8 in view")
        await pilot.press("G")
        await until_shown(pilot, "7–8 of 8 in view")
        assert "1.50 0.75" in screen_text(app)


async def test_what_the_stage_takes_is_told_on_a_small_screen_too(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    EventWriter(run.events, "train").memory(3 * GIB, 50 * GIB, 55 * GIB, 58 * GIB)
    app = HeadwaterApp(tmp_path, run)
    app._machine = TwoGpus()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "2 GPUs")
        await pilot.press("D")
        await until_shown(pilot, "Processes · 3, 1 of Headwater")
        await until_shown(pilot, "allocated 50 GiB, reserved 55 GiB, peak 58 GiB")
        assert "resident 3.0 GiB" in screen_text(app)
        assert "cpu" in screen_text(app)
        assert "1.50 0.75 0.25 over 1, 5 and 15 minutes" in screen_text(app)


async def test_why_there_is_no_gpu_is_told_in_whole_clauses(tmp_path: Path) -> None:
    class NoDriver(TwoGpus):
        def read(self, pid: int | None = None) -> MachineSample:
            why = "no GPU: no NVIDIA driver library here; in a container start it with --gpus all"
            return replace(super().read(pid), gpus=(), no_gpu=why)

    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    app._machine = NoDriver()
    async with app.run_test(size=(80, 25)) as pilot:
        await until_shown(pilot, "no GPU: no NVIDIA driver library here")
        assert "here; in" not in screen_text(app)


async def test_without_a_gpu_it_is_said_and_our_processes_are_shown(tmp_path: Path) -> None:
    class NoGpu(TwoGpus):
        def read(self, pid: int | None = None) -> MachineSample:
            return replace(super().read(pid), gpus=(), no_gpu="no GPU: the driver is not loaded")

        def processes(self, machine: MachineSample) -> tuple[ProcessSample, ...]:
            return (ProcessSample(4711, "books · train", True, rss=GIB, cpu=99.0),)

    run = at_work(tmp_path)
    for size in ((80, 24), (120, 40)):
        app = HeadwaterApp(tmp_path, run)
        app._machine = NoGpu()
        async with app.run_test(size=size) as pilot:
            await until_shown(pilot, "no GPU")
            assert "0 GPUs" not in screen_text(app)
            await pilot.press("D")
            await until_shown(pilot, "Processes · 1, 1 of Headwater")
            text = screen_text(app)
            assert "no GPU: the driver is not loaded" in text
            assert "4711     –       books · train" in text
            assert "300 GiB of 400 GiB" in text


async def test_the_log_is_searched(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    with run.log("train").open("a") as log:
        log.write("Warning: [odd] thing\n" + "quiet\n" * 30)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stage · train")
        await pilot.press("slash", *"STEP  11", "enter")
        panel = app.screen.query_one(LogPanel)
        await until_shown(pilot, "“STEP 11” in 10 of 10 lines")
        assert panel.has_focus
        await pilot.press("p")
        await until_shown(pilot, "in 9 of 10 lines")
        await pilot.press("n", "n")
        await until_shown(pilot, "in 1 of 10 lines")
        await until_shown(pilot, "step  110")
        await pilot.press("slash", "escape")
        await until(pilot, lambda: panel.words == "")
        assert isinstance(app.screen, RunScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_running_again_from_a_stage_asks_and_forgets_what_comes_after(
    tmp_path: Path,
) -> None:
    run = sample_run.scored_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "✓ all stages done")
        app.screen.query_one(StageList).cursor = 4
        await pilot.press("f")
        await until_shown(pilot, "Run again from inspect?")
        await until_shown(pilot, "inspect, report")
        await pilot.press("n")
        await pilot.pause()
        assert run.done("inspect").exists()
        await pilot.press("f")
        await until_shown(pilot, "Run again from inspect?")
        await pilot.press("y")
        await until(pilot, lambda: not run.done("inspect").exists())
        assert run.done("scores").exists()
        assert not run.done("report").exists()
        await until_shown(pilot, "✗ inspect failed", seconds=120)
        await until(pilot, lambda: not is_locked(run))


async def test_the_end_of_the_log_stays_in_view_when_a_notice_takes_a_line(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, at_work(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "step  119")
        panel = app.screen.query_one(LogPanel)
        for height in (30, 38, 34):
            await pilot.resize_terminal(120, height)
            await until(pilot, lambda: panel.is_vertical_scroll_end)
            await until_shown(pilot, "step  119")
        panel.focus()
        await pilot.press("g")
        await pilot.resize_terminal(120, 40)
        await until_shown(pilot, "step    1")
        assert not panel.is_vertical_scroll_end


async def test_every_stage_is_in_view_on_a_small_screen(tmp_path: Path) -> None:
    """The last of the stages, the report, once lay below the edge of the list."""
    run = sample_run.scored_run(tmp_path)
    for size, has_header in (((80, 24), False), ((120, 40), True)):
        app = HeadwaterApp(tmp_path, run)
        async with app.run_test(size=size) as pilot:
            await until_shown(pilot, "all stages done")
            text = screen_text(app)
            assert all(stage in text for stage in STAGES if stage != "prove")
            assert "prove" not in text, "it begins at a ranking"
            assert ("progress" in text) == has_header
            assert "benchmark optional" in text


async def test_an_empty_log_says_whether_anything_is_to_come(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "Log · prepare")
        await until_shown(pilot, "wrote nothing")
        await pilot.press(*"jjjjjjj")
        await until_shown(pilot, "Log · benchmark")
        await until_shown(pilot, "has not run yet")


async def test_what_a_finished_run_is_good_for_is_in_the_footer(tmp_path: Path) -> None:
    """At 80 columns the keys of its results come before those that run it again."""
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "all stages done")
        footer = screen_text(app).splitlines()[-1]
        for offer in ("I Influence", "A Ask", "F Factors", "E Evaluation", "? Help", "q Quit"):
            assert offer in footer


async def test_the_footer_writes_a_key_as_it_is_on_the_keyboard(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "all stages done")
        await pilot.press("I", "enter")
        await until_shown(pilot, " / Find")


async def test_while_one_writes_the_footer_names_the_keys_that_are_no_letters(
    tmp_path: Path,
) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "all stages done")
        await pilot.press("slash")
        await until_shown(pilot, "search the log")
        footer = screen_text(app).splitlines()[-1]
        assert "Enter Accept" in footer
        assert "F1 Help" in footer
        assert "q Quit" not in footer
        await pilot.press("f1")
        await until_shown(pilot, "Keys")


async def test_the_selected_stage_says_what_it_does_needs_took_and_made(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press(*"jjj")
        await until_shown(pilot, "Stage · scores")
        await until_shown(pilot, "I shows which examples taught an answer")
        text = screen_text(app)
        assert STAGES["scores"].does in text
        assert "needs           ✓ prepare  ✓ train  ✓ factors" in text
        assert "took            12 s" in text
        await pilot.press(*"jjjj")
        await until_shown(pilot, "Stage · benchmark")
        await until_shown(pilot, "s runs it")
        assert "not known before it has run here" in screen_text(app)


async def test_a_stage_that_has_not_run_says_what_it_will_take(tmp_path: Path) -> None:
    run = at_work(tmp_path)
    settings = load_settings(run.settings)
    plan = small_plan(settings, run)
    write_plan(run, plan)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stage · train")
        await pilot.press("j")
        await until_shown(pilot, "will take       about 1 min 35 s, 3.0 GiB of memory")
        write_plan(run, replace(plan, settings_digest="of other settings"))
        await until_shown(pilot, "not known before it has run here")


async def test_at_80_by_24_a_stage_and_what_to_do_next_are_in_two_lines(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "✓ all stages done")
        for stage in (one for one in STAGES.values() if one.name != "prove"):
            await until_shown(pilot, f"Stage · {stage.name}")
            await until_shown(pilot, stage.does)
            assert "│ next " in screen_text(app)
            await pilot.press("j")


async def test_enter_gives_the_stage_the_whole_screen_and_the_pages_turn_there(
    tmp_path: Path,
) -> None:
    run = at_work(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stage · train")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(StagePanel).size.height > 15)
        await until_shown(pilot, "doing           training · 168 of 400 steps")
        await until_shown(pilot, "warning         2 rows were empty and left out")
        await pilot.press("2")
        await until_shown(pilot, "step  105")
        await pilot.press("1", "escape")
        await until_shown(pilot, "Stages ·")
        assert app.screen.query_one(StageList).has_focus


async def test_a_file_of_the_corpus_shows_what_became_of_it(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    lossy = FileAccount("books.csv", 2_048, 30, 27, 0.9)
    summary = CorpusSummary("books", 30, 0, 3, 27, 0, 25, 2, 900, 0, 0, 300, files=(lossy,))
    write_corpus_summary(run, summary)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "books.csv       90.00% of 2.0 KiB, 30 lines became 27 documents")
        await until_shown(pilot, "27 documents, 3 rows lost")


async def test_results_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.summary("train").write_text("{}")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("j")
        await until_shown(pilot, "unreadable      ")


@pytest.mark.parametrize(
    ("key", "work", "stages"),
    [("a", "1 epoch of training on", "they take"), ("s", "a corpus whose size", "it takes")],
)
async def test_long_work_is_told_of_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, work: str, stages: str
) -> None:
    started = launches(monkeypatch)
    run = sample_run.new_run(tmp_path)
    run.settings.write_text(render_settings(profile("openwebtext")))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages · 0 of")
        await pilot.press(key)
        await until_shown(pilot, f"TinyLlama/TinyLlama_v1.1: {work}")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press(key)
        await until_shown(pilot, f"How long {stages}")
        assert not started
        await pilot.press("y")
        await until(pilot, lambda: bool(started))
    assert started[0][0] == "prepare"


async def test_the_demo_begins_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = launches(monkeypatch)
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages · 0 of")
        await pilot.press("a")
        await until(pilot, lambda: bool(started))


def launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The stages that were started since, in place of which nothing is."""
    started: list[tuple[str, ...]] = []

    def start(run: RunDir, stages: tuple[str, ...], again: tuple[str, ...] = ()) -> None:
        started.append(stages)

    monkeypatch.setattr("tui.processes.launcher.start_stages", start)
    return started


@pytest.mark.parametrize("there_s", [0.0, 3600.0])
async def test_a_run_is_looked_at_less_often_when_nobody_is_at_the_keyboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there_s: float
) -> None:
    monkeypatch.setattr("tui.collector._THERE_S", there_s)
    usual, unattended = (0.05, 3600.0) if there_s else (3600.0, 0.05)
    monkeypatch.setattr("tui.screens.run._INTERVAL_S", usual)
    monkeypatch.setattr("tui.screens.run._UNATTENDED_S", unattended)
    run = at_work(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "● train running")
        EventWriter(run.events, "train").warning("the disk is nearly full")
        await until_shown(pilot, "the disk is nearly full")
