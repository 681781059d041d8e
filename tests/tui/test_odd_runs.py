"""Run folders whose files hold anything: no traceback, and the other runs are still listed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tui.cli import main
from tui.readers.runs import RunsReader

KEYS = ("pid", "time", "stage", "stages", "supervisor", "seconds", "fingerprint", "state", "token")


def content(text: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text)


ODD: dict[str, Callable[[Path], object]] = {
    "empty": content(b""),
    "a list": content(b"[]"),
    "null": content(b"null"),
    "a string": content(b'"x"'),
    "a deep list": content(b"[" * 100_000),
    "a deep object": content(b'{"a":' * 100_000),
    "no UTF-8": content(b"\xff\xfe\x00{"),
    "zeros": content(b"\0" * 100),
    "a long number": content(b'{"time": ' + b"9" * 5000 + b"}"),
    "too large a number": content(b'{"time": 1e999, "seconds": 1e308}'),
    "lone surrogates": content(b'{"stage": "\\ud800", "state": "\\ud800"}'),
    **{
        f"{value.decode()} everywhere": content(
            b"{%s}" % b",".join(b'"%s":%s' % (key.encode(), value) for key in KEYS)
        )
        for value in (b"[]", b"{}", b"7", b'"x"', b"null")
    },
    "a folder": Path.mkdir,
    "a pipe": lambda path: os.mkfifo(path),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to(path.parent / "nothing"),
}


def files_of(run: RunDir) -> list[Path]:
    """Everything in the run that the lists of runs and stages may look at."""
    written = [file for file in run.root.rglob("*.json*") if file.is_file()]
    others = [run.state, run.lock, run.manifest, run.cancel_request, run.ask_address]
    return [*dict.fromkeys([*written, *others, run.exit("train"), run.log("train")])]


@pytest.mark.timeout(300)  # nothing will ever write into a pipe
@pytest.mark.parametrize("kind", ODD)
def test_a_file_of_a_run_may_be_anything(tmp_path: Path, kind: str) -> None:
    runs = tmp_path / "runs"
    odd, good = sample_run.scored_run(runs, "odd"), sample_run.new_run(runs, "good")
    sample_run.train_events(odd, done=0.4)
    sample_run.finish(good, "prepare")
    kept = tmp_path / "kept"
    shutil.copytree(odd.root, kept)
    for file in files_of(odd):
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        ODD[kind](file)
        for arguments in (["status", "odd"], ["status", "good"], ["runs"]):
            ended = CliRunner().invoke(main, ["--runs", str(runs), *arguments])
            assert isinstance(ended.exception, SystemExit | None), (file.name, ended.exception)
            assert ended.output.strip(), (file.name, arguments)
        assert "good" in ended.output
        assert "odd" in ended.output
        assert {row.run.name for row in RunsReader(runs).read()} == {"odd", "good"}, file.name
        shutil.rmtree(odd.root)
        shutil.copytree(kept, odd.root)
