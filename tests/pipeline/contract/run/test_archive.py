"""Runs are put away, brought back, cloned and deleted whole, and never while something works."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.contract.errors import RunBusyError, SettingsError, UsageError
from pipeline.contract.run.archive import archive, archive_of, delete, restore
from pipeline.contract.run.new_run import change_settings, clone_run, write_run
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir, list_runs
from pipeline.contract.settings.profiles import profile, render_settings


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "demo")
    write_run(made, render_settings(profile("demo")), origin=made.settings)
    return made


def test_a_run_put_away_is_no_longer_listed_and_comes_back_whole(run: RunDir) -> None:
    runs = run.root.parent
    text = run.settings.read_text()
    away = archive(run)
    assert list_runs(runs) == []
    assert [found.name for found in list_runs(archive_of(runs))] == ["demo"]
    assert restore(away) == run
    assert run.settings.read_text() == text


@pytest.mark.parametrize("change", [archive, delete])
def test_a_folder_that_cannot_be_written_is_told(
    run: RunDir, change: Callable[[RunDir], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:  # root may write everywhere else
        raise OSError(errno.EROFS, "Read-only file system", str(run.lock))

    monkeypatch.setattr("pipeline.contract.run.archive.acquire_lock", refuse)
    with pytest.raises(UsageError, match="no permission to write"):
        change(run)
    assert run.settings.exists()


def test_neither_overwrites_a_run_of_the_same_name(run: RunDir) -> None:
    away = archive(run)
    write_run(run, render_settings(profile("demo")), origin=run.settings)
    with pytest.raises(UsageError, match="already"):
        archive(run)
    with pytest.raises(UsageError, match="already"):
        restore(away)
    assert run.settings.exists()
    assert away.settings.exists()


@pytest.mark.parametrize("change", [archive, delete])
def test_a_run_at_work_stays(run: RunDir, change: Callable[[RunDir], object]) -> None:
    lock = acquire_lock(run)
    with pytest.raises(RunBusyError):
        change(run)
    os.close(lock)
    assert run.settings.exists()


def test_deleting_leaves_nothing_and_follows_no_link(run: RunDir) -> None:
    runs = run.root.parent
    link = runs / "link"
    link.symlink_to(run.root)
    with pytest.raises(UsageError, match="is a link"):
        delete(RunDir(link))
    link.unlink()
    delete(run)
    assert list(runs.iterdir()) == []


def test_a_clone_has_settings_and_prompts_and_nothing_else(run: RunDir) -> None:
    run.prompts.write_text('{"id": "a", "prompt": "b", "completion": " c"}\n')
    run.events.write_text("{}\n")
    clone = RunDir(run.root.parent / "clone")
    clone_run(run, clone)
    assert clone.settings.read_text() == run.settings.read_text()
    assert clone.prompts.read_text() == run.prompts.read_text()
    assert {path.name for path in clone.root.iterdir()} == {
        "settings.toml",
        "prompts.jsonl",
        "manifest.json",
    }
    with pytest.raises(UsageError, match="already"):
        clone_run(run, clone)


def test_changed_settings_are_checked_before_anything_is_written(run: RunDir) -> None:
    old = run.settings.read_text()
    with pytest.raises(SettingsError, match=r"train\.epochs"):
        change_settings(run, old.replace("\nepochs = ", "\nepochs = -"))
    assert run.settings.read_text() == old
    lock = acquire_lock(run)
    with pytest.raises(RunBusyError):
        change_settings(run, old.replace("\nepochs = ", "\nepochs = 4"))
    os.close(lock)
    assert change_settings(run, old.replace("\nepochs = ", "\nepochs = 4")).train.epochs > 40
