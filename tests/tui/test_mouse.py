"""Everything that a key does on a line, in the footer or in a box can be clicked."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from tests.tui import sample_run
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.screens.dialogs.help import Help
from tui.screens.runs import RunsScreen


async def click(pilot: Pilot[None], text: str) -> None:
    """Clicks the first place where the screen shows the text."""
    for y, line in enumerate(screen_text(pilot.app).splitlines()):
        if text in line:
            await pilot.click(offset=(line.index(text), y))
            return
    raise AssertionError(f"{text!r} is not on the screen")


def two_runs(folder: Path) -> HeadwaterApp:
    for name in ("one", "two"):
        sample_run.new_run(folder, name)
    return HeadwaterApp(folder)


async def test_a_question_is_answered_by_a_click(tmp_path: Path) -> None:
    app = two_runs(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        for answer in ("keep it", "n No"):
            await pilot.press("delete")
            await until_shown(pilot, "Delete two?")
            await click(pilot, answer)
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert (tmp_path / "two").exists()
        await pilot.press("delete")
        await until_shown(pilot, "Delete two?")
        await click(pilot, "delete it for good")
        await until_shown(pilot, "Runs · 1")
        assert not (tmp_path / "two").exists()


async def test_what_is_gone_for_good_is_not_agreed_to_by_enter(tmp_path: Path) -> None:
    app = two_runs(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await pilot.press("delete")
        await until_shown(pilot, "delete it for good")
        await pilot.press("enter", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert (tmp_path / "one").exists()
        assert (tmp_path / "two").exists()


async def test_a_line_that_was_asked_for_is_accepted_by_a_click(tmp_path: Path) -> None:
    app = two_runs(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await pilot.press("d")
        await until_shown(pilot, "nothing has run in it yet")
        await click(pilot, "Esc Back")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("d", *"x")
        await click(pilot, "Enter Accept")
        await until_shown(pilot, "Runs · 3")


async def test_the_help_is_closed_by_a_click(tmp_path: Path) -> None:
    app = two_runs(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await click(pilot, "? Help")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await click(pilot, "Esc Close")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_mouse_alone_goes_back_and_finds_every_command(tmp_path: Path) -> None:
    app = two_runs(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await click(pilot, "  one ")
        await click(pilot, "  one ")
        await until_shown(pilot, "headwater › one")
        await click(pilot, "…  ? Help")
        await until_shown(pilot, "run every stage that is not up to date")
        await pilot.press("escape")
        await until_shown(pilot, "headwater › one")
        await click(pilot, "headwater")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_the_footer_offers_no_key_that_would_be_written(tmp_path: Path) -> None:
    app = two_runs(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await pilot.press("slash")
        await until_shown(pilot, "Enter Accept")
        footer = screen_text(app).splitlines()[-1]
        assert "/ Filter" not in footer
        assert "Esc Back" in footer
