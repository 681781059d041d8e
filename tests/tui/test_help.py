"""Help, footer and commands tell the truth on every screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.widgets import Static

from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_factors, sample_run
from tests.tui.watching import until, until_shown
from tui.app import HeadwaterApp
from tui.commands import Commands
from tui.keys import KEY, PARTS, Scope, keys
from tui.screens.mixins.view import View
from tui.widgets.scrolling import TextPane

IN_A_RUN = "Stages ·"
WAYS: dict[Scope, tuple[tuple[str, str], ...]] = {
    "run": (),
    "runs": (("escape", "Runs · 2"),),
    "compare": (("escape", "Runs · 2"), ("space", "▌"), ("space", ""), ("C", "Results")),
    "settings": (("S", "Settings ·"),),
    "prompts": (("P", "In full"),),
    "rankings": (("I", "Prompts ·"),),
    "beside": (
        ("I", "Prompts ·"),
        ("enter", "· top ·"),
        ("C", "another method"),
        ("enter", "bm25"),
        ("enter", "rank correlation"),
    ),
    "curate": (("I", "Prompts ·"), ("K", "curate")),
    "example": (("I", "Prompts ·"), ("enter", "· top ·"), ("enter", "of 1,500")),
    "ask": (("A", ""),),
    "factors": (("F", ""),),
    "evaluation": (("E", "Metrics ·"),),
    "questions": (("E", "Metrics ·"), ("3", "Benchmarks ·"), ("enter", "Questions ·")),
    "copies": (("E", "Metrics ·"), ("2", "Answers ·"), ("t", "Places")),
    "report": (("R", "Contents ·"),),
}
"""Keys that lead to a screen, and what each of them shows."""


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that has something for every screen, beside another."""
    sample_run.new_run(tmp_path, "other")
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "generate", "evaluate", "benchmark")
    sample_factors.write_spectra(run)
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_benchmarks(run)
    sample_evaluation.write_report(run)
    return run


async def go(pilot: Pilot[None], scope: Scope) -> View[None]:
    """Opens a screen of the run."""
    app = pilot.app
    await until_shown(pilot, IN_A_RUN)
    for key, shown in WAYS[scope]:
        await pilot.press(key)
        await until_shown(pilot, shown)
    await until(pilot, lambda: isinstance(app.screen, View) and scope == app.screen.SCOPE)
    assert isinstance(app.screen, View)
    return app.screen


def bound(node: DOMNode) -> set[str]:
    """Names of what the keys of a screen and of its parts do."""
    parts = [node, *node.walk_children(DOMNode)]
    found = {b.id for one in parts for _, b in one._bindings}
    return {name for name in found if name}


@pytest.mark.parametrize("scope", list(PARTS))
async def test_help_lists_every_key_of_a_screen_and_no_other(run: RunDir, scope: Scope) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, scope)
        listed = {key.id for key in keys(scope, *PARTS[scope])}
        assert listed == bound(screen) - {key.id for key in keys("entry")}


async def test_in_the_help_a_key_stands_apart_from_what_it_does(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await pilot.press("question_mark")
        await until_shown(pilot, "Del Backspace delete the run for good")


async def test_help_breaks_its_lines_below_their_beginnings(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await go(pilot, "example")
        await pilot.press("question_mark")
        await until_shown(pilot, "╭─ Keys")
        box = app.screen.query_one("#help", TextPane)
        told = str(box.query_one(Static).content).splitlines()
        assert max(map(len, told)) <= box.scrollable_content_region.width
        assert any(line.strip() == "clipboard" and line.startswith(" ") for line in told)


@pytest.mark.parametrize("scope", list(PARTS))
async def test_every_command_can_be_given(run: RunDir, scope: Scope) -> None:
    """What is offered has somebody who does it; what is bound and makes sense is offered."""
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, scope)
        commands = list(Commands(screen)._commands())
        names = [name for name, _, _ in commands]
        assert len(names) == len(set(names))
        offered = {told for _, told, _ in commands}
        told = {key.id: f"{key.help} ({key.display({})})" for key in KEY.values()}
        for binding in screen.active_bindings.values():
            name = binding.binding.id
            if name and binding.enabled and name != "app.command_palette":
                assert told[name] in offered, name
