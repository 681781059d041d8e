"""A finished run on a disk that nobody can write to any more is read as before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.run.run_dir import RunDir
from tests.faults.disks import NoDiskError, read_only, small_disk
from tui.cli import main


@pytest.fixture
def run(finished_run: RunDir, tmp_path: Path) -> Iterator[RunDir]:
    try:
        with small_disk(tmp_path / "disk", 256 << 20) as disk:
            root = shutil.copytree(finished_run.root, disk / "one", symlinks=True)
            with read_only(disk):
                yield RunDir(root)
    except NoDiskError as error:
        pytest.skip(f"no disk can be mounted here: {error}")


def verb(run: RunDir, *words: str) -> Result:
    ended = CliRunner().invoke(main, ["--runs", str(run.root.parent), *words])
    assert isinstance(ended.exception, SystemExit | None), ended.exception
    return ended


@pytest.mark.parametrize("words", ["status one", "runs", "rank one --json", "verify one"])
def test_what_only_reads_works(run: RunDir, words: str) -> None:
    assert verb(run, *words.split()).exit_code == 0


@pytest.mark.parametrize("words", ["run report --force --run one", "cancel one", "repair one"])
def test_what_has_to_write_is_refused_with_one_message(run: RunDir, words: str) -> None:
    told = verb(run, *words.split())
    if words.startswith("run "):
        assert told.exit_code == 2
        assert "no permission to write" in told.stderr
    else:
        assert told.exit_code == 0, "there is nothing to stop, and nothing to repair"
