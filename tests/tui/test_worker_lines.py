"""`headwater status` tells of the workers that share a stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.contract.files import write_json
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import WorkerState
from tests.tui import sample_run
from tui.cli import main


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return sample_run.scored_run(tmp_path, "books")


def status(run: RunDir, *options: str) -> str:
    arguments = ["--runs", str(run.root.parent), "status", run.name, *options]
    return CliRunner().invoke(main, arguments, catch_exceptions=False).stdout


def at_work(run: RunDir, process: ProcessIdentity, silent_s: float = 0.0) -> WorkerState:
    state = WorkerState(process, "cpu", "ekfac lambda", 3, 16, 41.0, parts_done=2, rate=12.5)
    file = run.workers("factors") / f"{process.host}-{process.pid}.json"
    write_json(file, asdict(state))
    os.utime(file, (time.time() - silent_s,) * 2)
    return state


def test_a_worker_is_a_line_with_what_it_is_at(run: RunDir) -> None:
    me = ProcessIdentity.of(os.getpid())
    state = at_work(run, me)
    header, line = status(run).splitlines()[-2:]
    assert header.split() == [
        *("worker", "device", "stage", "part", "for", "done", "rate", "heard")
    ]
    assert line.split() == [
        *(me.host, str(me.pid), "cpu", "factors", "ekfac", "lambda", "3", "of", "16"),
        *("41", "s", "2", "12.5", "examples/s", "now"),
    ]
    (told,) = json.loads(status(run, "--json"))["workers"]
    assert told.pop("stage") == "factors"
    assert told.pop("heard") < 60
    assert told == asdict(state)


def test_a_worker_that_is_gone_or_silent_is_seen(run: RunDir) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        gone = ProcessIdentity.of(process.pid)
    at_work(run, gone)
    assert status(run).splitlines()[-1].endswith("is gone")
    elsewhere = replace(gone, host="zzz", boot_id="another")
    at_work(run, elsewhere, silent_s=600.0)
    assert status(run).splitlines()[-1].endswith("10 min 00 s ago, lost?")


def test_without_workers_nothing_is_said_of_them(run: RunDir) -> None:
    assert "worker" not in status(run)
    assert json.loads(status(run, "--json"))["workers"] == []


def test_a_worker_that_takes_twice_as_long_as_others_usually_do_is_slow(run: RunDir) -> None:
    me = ProcessIdentity.of(os.getpid())
    others = replace(me, host="zzz", boot_id="another")
    at_work(run, me)  # 41 s at its part, and not known how long it usually takes
    assert "slow" not in status(run)
    state = WorkerState(others, "cpu", "ekfac lambda", 4, 16, 1.0, usual_seconds=20.0)
    write_json(run.workers("factors") / "zzz-1.json", asdict(state))
    mine = next(line for line in status(run).splitlines() if line.startswith(f"{me.host} "))
    assert "41 s, slow" in mine
