"""Whatever is written where a path is asked for, a form says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from pipeline.contract.errors import SettingsError
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import own_settings, render_settings, starter_prompts
from tests.tui.watching import until, until_shown
from tui.app import HeadwaterApp
from tui.export import path_fault
from tui.screens.dialogs.new_run import NewRunForm
from tui.screens.prompts import path_to_import_fault

ODD = ("~nobody-here/x", "x" * 5000, "a\0b", "/" + "y/" * 3000)


@pytest.mark.parametrize("text", ODD, ids=["user", "long", "null", "deep"])
def test_a_path_to_read_from_is_not_there(text: str) -> None:
    assert path_to_import_fault(text) == "there is no such file or folder"


@pytest.mark.parametrize("text", ODD, ids=["user", "long", "null", "deep"])
def test_a_path_to_write_to_ends_in_no_error_but_what_is_said(text: str, tmp_path: Path) -> None:
    assert isinstance(path_fault(text, tmp_path), str)


async def test_a_new_runs_text_may_be_anything(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "no runs yet")
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, NewRunForm))
        for text in ODD:
            app.screen.query_one("#text", Input).value = text
            await pilot.press("f2")
            await until_shown(pilot, "text ✗ there is no such file or folder")


@pytest.mark.parametrize("text", ["~nobody-here/x", "x" * 5000])
def test_settings_name_what_is_not_there(text: str, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    of_model = own_settings("own-text", str(tmp_path), f"./{text}")
    write_run(run, render_settings(of_model), tmp_path / "s.toml", starter_prompts(of_model))
    run = RunDir(tmp_path / "other")
    settings = own_settings("own-text", text, "")
    with pytest.raises(SettingsError):
        write_run(run, render_settings(settings), tmp_path / "s.toml", starter_prompts(settings))
    assert not run.root.exists()
