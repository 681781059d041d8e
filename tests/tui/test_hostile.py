"""Text from data is shown, never obeyed: neither by Textual's markup nor by the terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import tomlkit
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input, TextArea

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.history import remember
from pipeline.contract.run.replies import Query
from pipeline.contract.settings.prompts import Prompt, save_prompts
from tests.tui import sample_evaluation, sample_factors, sample_run
from tests.tui.frozen_answers import FrozenAnswerer
from tests.tui.terminals import Terminal
from tests.tui.watching import Threads, until_shown
from tui.app import HeadwaterApp
from tui.person.user import User

MARKUP = "[/INST] [b [@click=app.exit]x[/] [link=http://x]"
CONTROLS = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202egnp\u200b\u2028\x00\x08\r\x7f\U000e0041"
STORM = "a" + "\u0301" * 500
LONG = "x" * 50_000
FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def painted(app: HeadwaterApp) -> str:
    """Every text that would be written to the terminal for the whole screen."""
    text = "".join(strip.text for strip in app.screen._compositor.render_strips())
    titles = [
        str(title)
        for widget in app.screen.walk_children(Widget)
        for title in (widget.border_title, widget.border_subtitle)
        if title
    ]
    return text + "".join(titles)


ZOO = {"markup": MARKUP, "controls": CONTROLS, "storm": STORM, "long": LONG}
SHOWN = {
    "markup": "[/INST] [b [@click=app",
    "controls": "␛[2J␛]52;c;aGk=␇⟨U+009B⟩31m⟨U+202E⟩",
    "storm": "a" + "\u0301" * 4,
    "long": "x" * 20,
}
"""How the beginning of each looks where there is room for it."""
PINNED = ("space", "space", "space", "asterisk", "j", "asterisk", "k", "asterisk", "delete", *"nd")
ARCHIVED = ("escape", "z", "Z", "enter", "full_stop", "left")
"""Keys of the list of runs."""
STEPS = ("I", "enter", "enter", "n", "h")
"""Keys that lead from a run through its rankings to an example's tokens."""


@pytest.fixture(params=ZOO)
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a text that a screen or a terminal might obey."""
    return str(request.param)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


async def walk(app: HeadwaterApp, pilot: Pilot[None], threads: Threads, keys: Iterable[str]) -> str:
    """Presses the keys one after the other; gives all that was shown, all of it being harmless."""
    shown = []
    for key in keys:
        await pilot.press(key)
        await threads.settled(pilot)
        assert app.is_running
        shown.append(painted(app))
        assert not FORBIDDEN.search(shown[-1])
    return "\n".join(shown)


async def test_no_screen_obeys_data(tmp_path: Path, threads: Threads, kind: str) -> None:
    hostile = ZOO[kind]
    run = sample_run.scored_run(tmp_path, hostile=hostile)
    run.log("prepare").write_text(hostile + "\n")
    events = EventWriter(run.events, "prepare")
    events.warning(hostile)
    events.progress(1, 2, hostile, hostile)
    events.metric(hostile, 1.0, 1)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages ·")
        assert not FORBIDDEN.search(painted(app))
        shown = await walk(app, pilot, threads, STEPS)
    assert "Mara Voss" in shown
    assert SHOWN[kind] in shown


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        (MARKUP.replace("/", "|"), "[|INST] [b [@click=app"),
        (CONTROLS[:60].replace("\0", ""), "␛[2J␛]52;c;aGk=␇⟨U+009B⟩31m⟨U+202E⟩"),
    ],
    ids=["markup", "controls"],
)
async def test_a_runs_name_is_only_shown(
    tmp_path: Path, threads: Threads, hostile: str, expected: str
) -> None:
    folder = tmp_path / "runs"
    sample_run.new_run(folder, "one")
    run = sample_run.new_run(folder, "two")
    sample_run.train_events(run)
    run.root.rename(folder / f"two{hostile}")
    (folder / os.fsdecode(b"three\xff")).mkdir()
    (folder / os.fsdecode(b"three\xff/settings.toml")).write_text("[run]\n")
    app = HeadwaterApp(folder, None, User(state=tmp_path / "state.json"))
    async with app.run_test(size=(220, 50), notifications=True) as pilot:
        await until_shown(pilot, "Runs · 3")
        shown = await walk(app, pilot, threads, PINNED)
        shown += await walk(app, pilot, threads, ARCHIVED)
    assert f"two{expected}" in shown
    assert "three⟨U+DCFF⟩" in shown
    User(state=tmp_path / "state.json").pins(folder)


async def test_the_editors_only_show_what_is_in_files(
    tmp_path: Path, threads: Threads, kind: str
) -> None:
    hostile = ZOO[kind]
    run = sample_run.new_run(tmp_path, "own")
    text = run.settings.read_text().replace('source = "demo"', 'source = "local"')
    text = text.replace('path = ""', f"path = {tomlkit.item(hostile).as_string()}")
    run.settings.write_text(text)
    save_prompts(run.prompts, [Prompt(id=hostile, prompt=hostile, completion=hostile)])
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_shown(pilot, "Stages ·")
        keys = ["S", *"jjjj", "enter", "escape", "delete", *"wn", "escape", "y"]
        settings = await walk(app, pilot, threads, keys)
        prompts = await walk(app, pilot, threads, ["P", "enter", "tab", "right", "tab", "end"])
        assert app.screen.query_one("#prompt", TextArea).text
        await walk(app, pilot, threads, ["escape", "d", "escape", "delete", *"yw", "escape", "y"])
    written_as_toml = SHOWN | {"controls": r'"\u001b[2J\u001b]52;c;a'}
    assert written_as_toml[kind] in settings
    assert SHOWN[kind] in prompts


async def test_the_screens_of_results_only_show_what_is_in_files(
    tmp_path: Path, threads: Threads, kind: str
) -> None:
    hostile = ZOO[kind]
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "generate", "evaluate", "benchmark", "validate")
    sample_factors.write_spectra(run, hostile)
    sample_evaluation.write_evaluation(run, hostile)
    sample_evaluation.write_benchmarks(run, hostile)
    sample_evaluation.write_validation(run, hostile)
    sample_evaluation.write_report(run, hostile)
    ways = {
        "factors": ["F", "k", "space", *"nvvv", "escape", "escape"],
        "metrics and answers": [*"E2h", "enter", "escape"],
        "benchmarks": ["E", "3", "enter", "j", "enter", "escape", "t", "escape", "escape"],
        "validation": [*"E4j", "enter", "escape"],
        "report": [*"Rjjj", "enter", "pagedown"],
    }
    for name, keys in ways.items():
        app = HeadwaterApp(tmp_path, run)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until_shown(pilot, "Stages ·")
            shown = await walk(app, pilot, threads, keys)
        assert SHOWN[kind] in shown, name


async def test_what_the_model_says_and_what_taught_it_is_only_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: Threads, kind: str
) -> None:
    hostile = ZOO[kind]
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "index")
    monkeypatch.setattr("tui.screens.ask.Answerer", lambda run: FrozenAnswerer(hostile=hostile))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_shown(pilot, "Stages ·")
        await walk(app, pilot, threads, ["A"])
        app.screen.query_one("#prompt", TextArea).text = f"Born in{hostile}"
        await walk(app, pilot, threads, ["f2"])
        await until_shown(pilot, "✓ answered")
        shown = await walk(app, pilot, threads, ["k", "enter", "escape", "o", "o"])
        remember(run, Query(f"Born in{hostile}"), hostile)
        shown += await walk(app, pilot, threads, ["H", "enter", "e", "escape"])
    assert SHOWN[kind] in shown


async def test_what_is_searched_for_and_asked_is_only_shown(
    tmp_path: Path, threads: Threads
) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages ·")
        await walk(app, pilot, threads, ["slash"])
        app.screen.query_one(Input).value = f"step{CONTROLS}{MARKUP}"
        shown = await walk(app, pilot, threads, ["enter"])
    assert "in 0 lines" in shown


def test_the_bytes_that_reach_a_terminal_hold_no_command_from_data(tmp_path: Path) -> None:
    hostile = f"{CONTROLS[:-3]}{MARKUP}"
    run = sample_run.scored_run(tmp_path, hostile=hostile)
    run.log("prepare").write_text(hostile + "\n")
    EventWriter(run.events, "prepare").warning(hostile)
    terminal = Terminal("--runs", str(tmp_path), "tui", "demo")
    try:
        terminal.until("all stages done")
        raw = b""
        for key, shown in (("2", "Log"), ("1", "Stage"), ("I", "Prompts"), ("\r", "score")):
            terminal.press(key)
            terminal.until(shown, forget=False)
            raw += terminal.raw
    finally:
        terminal.close()
    text = raw.decode("utf-8", "replace")
    assert "]52;c;aGk=" in text
    assert "\x1b]52" not in text
    assert "\x1b[31m\x1b" not in text
    assert not re.search("[\x80-\x9f\u202e\u200b\u2028\U000e0041]", text)
