"""A folder of many runs: what is shown at once is bounded, and everything can be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.run.run_dir import RunDir, list_runs
from tests.tui import sample_run
from tests.tui.watching import screen_text, until_shown
from tui import commands
from tui.app import HeadwaterApp
from tui.readers.run_filter import parse
from tui.readers.runs import RunsReader, arrange


async def test_the_palette_lists_some_runs_and_finds_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_RUNS_SHOWN", 3)
    for number in range(6):
        sample_run.new_run(tmp_path, f"run-{number}")
    looks = list[int]()
    really = HeadwaterApp.runs_to_go_to

    def look(self: HeadwaterApp) -> list[RunDir]:
        looks.append(1)
        return really(self)

    monkeypatch.setattr(HeadwaterApp, "runs_to_go_to", look)
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(80, 60)) as pilot:
        await until_shown(pilot, "Runs · 6")
        await pilot.press("colon", *"go to")
        await until_shown(pilot, "Go to run-5")
        assert screen_text(app).count("Go to run-") == 3
        await pilot.press(*" run-0")
        await until_shown(pilot, "Go to run-0")
        assert len(looks) == 1  # not again at every letter


def test_files_and_hidden_folders_are_no_runs(tmp_path: Path) -> None:
    runs = [sample_run.new_run(tmp_path, name) for name in ("one", "two")]
    (tmp_path / "note.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(runs[0].root)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert {run.root.name for run in list_runs(tmp_path)} == {"one", "two", "link"}
    assert list_runs(tmp_path / "note.txt") == []
    assert list_runs(tmp_path / "nowhere") == []


def test_arranging_many_runs_asks_the_disk_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b", "a", "c"):
        sample_run.new_run(tmp_path, name)
    rows = RunsReader(tmp_path).read()

    def asked(self: Path, strict: bool = False) -> Path:
        raise AssertionError(f"{self} was resolved")

    monkeypatch.setattr(Path, "resolve", asked)
    found = arrange(rows, parse("waiting"), column="run", pinned={"c"})
    assert [row.name for row in found] == ["c", "a", "b"]
