"""How the screens look, on data that never changes.

`uv run pytest tests/tui/test_snapshots.py --snapshot-update` takes new pictures; look at them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.remarks import Remarks, write_remarks
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_factors, sample_run, sample_scores
from tests.tui.frozen_answers import FrozenAnswerer
from tests.tui.machines import TwoGpus
from tests.tui.watching import until, until_shown
from tui.app import HeadwaterApp
from tui.person.user import User
from tui.readers.runs import RunsReader
from tui.screens.compare import CompareScreen
from tui.widgets.ranking_table import RankingTable
from tui.widgets.run_list import RunList

SMALL, LARGE = (80, 24), (120, 40)
Compare = Callable[..., bool]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run and three others, all some hours old."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEXTUAL_COLOR_SYSTEM", "truecolor")
    folder = Path("runs")
    hours = {"books": 3, "broken": 4, "narrow": 5, "wide": 6}
    with sample_run.seconds_ago(3600 * hours["books"] + 600):
        run = sample_run.scored_run(folder, "books")
    write_remarks(run, Remarks(("best",), "the one in the paper"))
    for number, name in enumerate(("wide", "narrow", "broken")):
        with sample_run.seconds_ago(3600 * hours[name] + 600):
            run = sample_run.new_run(folder, name)
            sample_run.train_events(run, steps=100 * (number + 1), done=0.5)
            trained = EventWriter(run.events, "train")
            trained.failed("the loss was no longer a number", "lower the rate")
    RunDir(folder / "broken").settings.write_text("[train]\nepoch = 3\n")
    return folder


def app_of(runs: Path, name: str = "") -> HeadwaterApp:
    app = HeadwaterApp(runs, RunDir(runs / name) if name else None, User())
    app.theme = "headwater"
    app._machine = TwoGpus()
    return app


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_runs(
    runs: Path, snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the bytes of a run hold clock times of some digits more or fewer
    monkeypatch.setattr(RunsReader, "_measure_one", lambda self, runs: None)

    async def mark(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "Runs · 4")
        await pilot.press("j", "space", "space", "space", "k")
        await until_shown(pilot, "3 marked")
        await until(pilot, lambda: pilot.app.screen.query_one(RunList).cursor == 2)

    assert snap_compare(app_of(runs), terminal_size=size, run_before=mark)


@pytest.mark.parametrize(("size", "page"), [(SMALL, "4"), (LARGE, "3")], ids=["curves", "rankings"])
def test_compare(runs: Path, snap_compare: Compare, size: tuple[int, int], page: str) -> None:
    with sample_run.seconds_ago(3600):
        sample_scores.turn_scores(sample_run.scored_run(runs, "letters"))

    async def look(pilot: Pilot[None]) -> None:
        looks = {RunDir(runs / name): look for look, name in enumerate(("books", "letters"))}
        pilot.app.push_screen(CompareScreen(looks))
        await until_shown(pilot, "Settings 0")
        await pilot.press(page)
        await until_shown(pilot, "prompt 1 of 6" if page == "3" else "letters 0.")

    assert snap_compare(app_of(runs, "books"), terminal_size=size, run_before=look)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_run(runs: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await until_shown(pilot, "of 64 GiB")
        await pilot.press("j")
        await until_shown(pilot, "Stage · train")
        await until_shown(pilot, "m draws its other curves")

    assert snap_compare(app_of(runs, "books"), terminal_size=size, run_before=wait)


def test_devices(runs: Path, snap_compare: Compare) -> None:
    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("D")
        await until_shown(pilot, "kernel ran")

    assert snap_compare(app_of(runs, "books"), terminal_size=LARGE, run_before=wait)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_settings(runs: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def edit(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("S")
        await until_shown(pilot, "Settings ·")
        await pilot.press("slash", *"train.", "enter", "j", "j", "enter", "x")
        await until_shown(pilot, "valid: number")

    assert snap_compare(app_of(runs, "books"), terminal_size=size, run_before=edit)


def test_prompts(runs: Path, snap_compare: Compare) -> None:
    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("P")
        await until_shown(pilot, "In full")
        await until_shown(pilot, "Mara Voss was born in")

    assert snap_compare(app_of(runs, "books"), terminal_size=SMALL, run_before=wait)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_factors(
    runs: Path, snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")
    sample_factors.write_spectra(RunDir(runs / "books"))

    async def compare(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("F")
        await until_shown(pilot, "0 · mlp.gate_proj · ekfac Λ")
        await pilot.press("space", "n", "n", *["v"] * (size == SMALL))
        await until_shown(pilot, "2 · mlp.gate_proj · ekfac Λ")
        await until_shown(pilot, "◆ 0 · mlp.gate_proj")

    assert snap_compare(app_of(runs, "books"), terminal_size=size, run_before=compare)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])
def test_rankings(runs: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def mark(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await until(pilot, lambda: pilot.app.screen.query_one(RankingTable).count)
        await pilot.press("enter", "j", "space")
        await until_shown(pilot, "●     2")

    assert snap_compare(app_of(runs, "books"), terminal_size=size, run_before=mark)


def test_example(runs: Path, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")

    async def read(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await until(pilot, lambda: pilot.app.screen.query_one(RankingTable).count)
        await pilot.press("enter", "enter")
        await until_shown(pilot, "Document · 1 chunk")
        await until_shown(pilot, "blue tokens raise")

    assert snap_compare(app_of(runs, "books"), terminal_size=LARGE, run_before=read)


def test_answers(runs: Path, snap_compare: Compare) -> None:
    evaluated(runs)

    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("E")
        await until_shown(pilot, "Metrics · 3")
        await pilot.press("2", "j")
        await until_shown(pilot, "Tilo Brandt was born in → Nyvale.")

    assert snap_compare(app_of(runs, "books"), terminal_size=SMALL, run_before=wait)


def test_questions(runs: Path, snap_compare: Compare) -> None:
    evaluated(runs)

    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("E")
        await until_shown(pilot, "Metrics · 3")
        await pilot.press("3", "enter")
        await until_shown(pilot, "Questions · 3")
        await until_shown(pilot, "flag State")

    assert snap_compare(app_of(runs, "books"), terminal_size=LARGE, run_before=wait)


def test_validation(runs: Path, snap_compare: Compare) -> None:
    sample_run.finish(RunDir(runs / "books"), "validate")
    sample_evaluation.write_validation(RunDir(runs / "books"))
    evaluated(runs)

    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("E")
        await until_shown(pilot, "Metrics · 3")
        await pilot.press("4")
        await until_shown(pilot, "over random: better")

    assert snap_compare(app_of(runs, "books"), terminal_size=LARGE, run_before=wait)


@pytest.mark.parametrize(
    ("size", "lists", "shown"),
    [(SMALL, 2, "✓ answered"), (LARGE, 1, "the exact list follows")],
    ids=["80x24", "120x40"],
)
def test_ask(
    runs: Path, snap_compare: Compare, size: tuple[int, int], lists: int, shown: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sample_run.finish(RunDir(runs / "books"), "index")
    monkeypatch.setattr("tui.screens.ask.Answerer", lambda run: FrozenAnswerer(lists=lists))

    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("A")
        await pilot.press(*"Mara Voss was born in", "f2")
        await until_shown(pilot, shown)

    assert snap_compare(app_of(runs, "books"), terminal_size=size, run_before=wait)


def test_report(runs: Path, snap_compare: Compare) -> None:
    evaluated(runs)

    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await pilot.press("R")
        await until_shown(pilot, "Contents · 4")
        await pilot.press("G")
        await until_shown(pilot, "part 1 of 3: v shows the next columns")

    assert snap_compare(app_of(runs, "books"), terminal_size=SMALL, run_before=wait)


def evaluated(runs: Path) -> None:
    """Gives the finished run results of evaluation."""
    run = RunDir(runs / "books")
    sample_run.finish(run, "generate", "evaluate", "benchmark", "report")
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_benchmarks(run)
    sample_evaluation.write_report(run)


def test_help(runs: Path, snap_compare: Compare) -> None:
    async def wait(pilot: Pilot[None]) -> None:
        await until_shown(pilot, "✓ all stages done")
        await until_shown(pilot, "gpu 0")
        await pilot.press("question_mark")
        await until_shown(pilot, "Esc Close")

    assert snap_compare(app_of(runs, "books"), terminal_size=LARGE, run_before=wait)
