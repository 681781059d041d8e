"""Keys in bursts: over a slow line, from a paste, held down, on a busy machine.

All keys of a burst are with the app before it acts on the first one. Nothing may end the
dashboard, and no run is started, stopped, archived or deleted without its question.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from pipeline.contract.errors import RunBusyError
from pipeline.contract.run.run_dir import RunDir
from tests.tui import random_keys, sample_evaluation, sample_factors, sample_run
from tests.tui.frozen_answers import FrozenAnswerer
from tests.tui.watching import stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.keys import KEYS
from tui.screens.mixins.view import View
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.widgets.run_list import RunList

SCREENS: dict[str, tuple[str, ...]] = {
    "runs": ("escape",),
    "compare": ("escape", "space", "space", "C"),
    "run": (),
    "settings": ("S",),
    "prompts": ("P",),
    "form": ("P", "enter"),
    "rankings": ("I",),
    "ranking": ("I", "enter"),
    "example": ("I", "enter", "enter"),
    "beside": ("I", "enter", "C", "enter", "enter"),
    "methods": ("I", "enter", "M"),
    "question": ("A",),
    "ask": ("A", "escape"),
    "factors": ("F",),
    "evaluation": ("E",),
    "questions": ("E", "4", "enter"),
    "report": ("R",),
    "help": ("?",),
    "palette": (":",),
}
"""Keys that lead to a screen from that of a run."""
ALL_KEYS = sorted({name for key in KEYS for name in key.names({})} | {"tab", "shift+tab", "z", "1"})
LEAVES = {"q", "ctrl+q", "ctrl+c"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run with results for every screen, beside another; stages are not started."""
    monkeypatch.setattr("tui.screens.ask.Answerer", lambda run: FrozenAnswerer(hostile=""))
    for name in ("one", "two"):
        run = sample_run.scored_run(tmp_path / "runs", name)
        sample_run.finish(run, "benchmark", "evaluate", "validate", "index")
        sample_factors.write_spectra(run)
        sample_evaluation.write_evaluation(run)
        sample_evaluation.write_benchmarks(run)
        sample_evaluation.write_validation(run)
        sample_evaluation.write_report(run)
    return run


@pytest.fixture
def deeds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to a run."""
    done: list[str] = []
    places = {
        "tui.processes.launcher": ("start_stages",),
        "tui.screens.mixins.warming": ("start_stages",),
        "tui.processes.slurm": ("request_cancel",),
        "pipeline.contract.run.new_run": ("clone_run",),
        "tui.screens.runs": ("archive", "restore", "delete"),
    }
    for place, names in places.items():
        for name in names:

            def do(*_: object, name: str = name) -> bool:
                if name == "start_stages" and name in done:
                    raise RunBusyError("something works in the run already")
                done.append(name)
                return True

            monkeypatch.setattr(f"{place}.{name}", do)
    return done


def typed(key: str) -> events.Key:
    """The event of a key, as a terminal's is."""
    letter = key if len(key) == 1 else None
    named = _character_to_key(key) if letter and not key.isalnum() else key
    return events.Key(named, letter)


async def burst(pilot: Pilot[None], keys: Sequence[str]) -> None:
    """Hands all keys to the app at once, and waits until it rests."""
    for key in keys:
        pilot.app.post_message(typed(key))
    await until(pilot, lambda: not pilot.app._waiting_keys and pilot.app._key_in_hand is None)  # type: ignore[attr-defined]


async def go_to(pilot: Pilot[None], screen: str) -> None:
    """From the screen of a run to another one, key by key."""
    await until_shown(pilot, "Stages")
    for key in SCREENS[screen]:
        await pilot.press(key)
        await pilot.pause()
        if key == "escape" and screen in ("runs", "compare"):
            await until_shown(pilot, "Runs · 2")


async def back_to_the_run(pilot: Pilot[None]) -> bool:
    """Takes all screens away that lie above the run's; False where that is gone."""
    stack = pilot.app.screen_stack
    if not any(isinstance(screen, RunScreen) for screen in stack):
        return False
    while not isinstance(pilot.app.screen, RunScreen):
        pilot.app.pop_screen()
        await pilot.pause()
    pilot.app.screen.remove_class("-large", "-devices")
    return True


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_key_may_come_three_times_at_once(
    run: RunDir, deeds: list[str], screen: str
) -> None:
    left = [(key, 3) for key in ALL_KEYS if key not in LEAVES]
    while left:
        app = HeadwaterApp(run.root.parent, run)
        async with app.run_test(size=(100, 30)) as pilot:
            await go_to(pilot, screen)
            there = app.screen
            while left:
                key, times = left.pop()
                await burst(pilot, [key] * times)
                # a key that starts stages starts them once
                assert deeds in ([], ["start_stages"]), (key, times, deeds)
                deeds.clear()
                if app.screen is not there:
                    if not await back_to_the_run(pilot):
                        break
                    await go_to(pilot, screen)
                    there = app.screen


@pytest.mark.parametrize("screen", ["runs", "run", "prompts", "settings"])
async def test_escape_three_times_leads_out_and_no_further(run: RunDir, screen: str) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await go_to(pilot, screen)
        await burst(pilot, ["escape"] * 3)
        await until(pilot, lambda: stands_on(app, RunsScreen))
        await until_shown(pilot, "Runs · 2")


async def test_what_is_typed_behind_a_slash_is_a_filter(run: RunDir, deeds: list[str]) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages")
        await burst(pilot, "/dmn")
        assert app.screen.query_one("#find", Input).value == "dmn"
        await burst(pilot, ["escape", "escape"])
        await until_shown(pilot, "Runs · 2")
        await burst(pilot, "/dan")
        assert app.screen.query_one("#filter", Input).value == "dan"
        await burst(pilot, ["escape"])
        app.screen.query_one(RunList).focus()
        await burst(pilot, ["z", "y"])
        await until(pilot, lambda: deeds == ["archive"])


async def test_a_busy_machine_changes_nothing(
    run: RunDir, deeds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(self: RunList, event: events.Key) -> None:
        await asyncio.sleep(0.6)

    monkeypatch.setattr(RunList, "on_key", slow, raising=False)
    app = HeadwaterApp(run.root.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await burst(pilot, "/dan")
        assert app.screen.query_one("#filter", Input).value == "dan"
    assert not deeds


async def test_a_form_that_is_accepted_twice_leaves_the_screen_behind_it(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await go_to(pilot, "runs")
        await until_shown(pilot, "Runs · 2")
        await burst(pilot, ["d"])
        await until_shown(pilot, "Clone ")
        await burst(pilot, ["enter", "enter"])
        await pilot.pause()
        assert len(app.screen_stack) <= 3
        assert any(isinstance(screen, RunsScreen) for screen in app.screen_stack)


async def test_the_search_of_the_log_is_opened_once(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages")
        await burst(pilot, ["/", "tab", "/", "x"])
        assert app.screen.query_one("#find", Input).value == "x"


@pytest.mark.parametrize("seed", range(4))
async def test_random_keys_end_nothing_and_do_nothing_to_a_run(
    run: RunDir, deeds: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    keys = [key for key in ALL_KEYS if key not in LEAVES | {"y"}]
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages")
        for _ in range(25):
            await burst(pilot, chance.choices(keys, k=chance.randint(1, 8)))
            assert isinstance(app.screen_stack[0], View) or len(app.screen_stack) > 1
    assert not set(deeds) & {"archive", "delete", "request_cancel"}, f"seed {seed}: {deeds}"


def test_random_keys_of_a_real_terminal_end_nothing(tmp_path: Path) -> None:
    assert random_keys.faults(tmp_path, range(200)) == []


async def test_keys_behind_the_one_that_opens_rankings_are_meant_for_them(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stages")
        await burst(pilot, ["I", "j", "enter", "j", "j", "enter", "v", "escape", "/", *"bread"])
        await until_shown(pilot, "Tilo Brandt was born in")
        await until_shown(pilot, "with “bread”")


FORMS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "clone": (("escape",), "d", "xyz"),
    "tags": (("escape",), "e", "zyz"),
    "new run": (("escape",), "N", "zyz"),
    "prompt": (("P",), "N", "dyz"),
    "file of prompts": (("P",), "i", "dyz"),
    "rank": (("I", "enter"), "#", "123"),
    "export": (("I", "enter"), "x", "bKy"),
    "export of answers": (("E", "2"), "x", "xyz"),
    "report": (("R",), "x", "xyz"),
}
"""Keys that lead to a screen from that of a run, the key of a form there, and what is typed."""


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_typed_behind_the_key_of_a_form_goes_into_it(
    run: RunDir, deeds: list[str], form: str
) -> None:
    way, key, text = FORMS[form]
    own = run.settings.read_text().replace('source = "demo"', 'source = "local"')
    run.settings.write_text(own.replace('path = ""', f'path = "{run.root}"'))
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages")
        for step in way:
            await burst(pilot, [step])
            await pilot.pause()
        if "escape" in way:
            await until_shown(pilot, "Runs · 2")
        await burst(pilot, [key, *text])
        assert isinstance(app.focused, Input | TextArea)
        written = app.focused.value if isinstance(app.focused, Input) else app.focused.text
        assert written.endswith(text)
    assert not deeds


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (["escape", "j", "enter"], "headwater › one"),
        (["P", "j", "j"], "▌ home-2"),
        (["E", "3", "enter", "/", *"moon"], "Questions · 0 of 3"),
        (["E", "2", "/", *"zz"], "Answers · 0 of 2"),
        (["F", "j", "j", "space"], "▌ ◆ layer 1"),
        (["R", "/", *"loss"], "Contents · 1"),
    ],
)
async def test_keys_behind_the_one_that_opens_a_screen_are_meant_for_it(
    run: RunDir, keys: list[str], shown: str
) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages")
        await burst(pilot, keys)
        await until_shown(pilot, shown)


async def test_a_key_that_is_in_hand_when_the_program_ends_is_dropped(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stages")
        late = app.KeyDone(app.screen)
    app._screen_stack.clear()
    app._key_in_hand = late
    await app._next_key(late)  # by a timer that was set before the end
    assert app._key_in_hand is late
