"""The first program of a container, with real processes; the init is played by the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contract.children import child_environment
from pipeline.contract.files import read_json
from pipeline.contract.run.processes import (
    ProcessIdentity,
    SupervisorState,
    acquire_lock,
    is_locked,
)
from pipeline.contract.run.run_dir import RunDir
from tests.pipeline.test_supervisor import SCRIPT, until
from tests.tui import sample_run

PATIENCE_S = 300.0
Work = Callable[[str], RunDir]


class Entry:
    """The entry point, leading a group of its own as it does below the image's init."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._said = folder / "said"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tui.container", *arguments],
                env=child_environment(HEADWATER_RUNS=str(folder), container="docker"),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                process_group=0,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def signal(self, number: signal.Signals) -> None:
        """As `tini -g` hands a signal on: to the whole group."""
        os.killpg(self.process.pid, number)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    """Has a stage at work that is a line of shell; kills what a failed test left."""
    started: list[subprocess.Popen[bytes]] = []

    def work(shell: str) -> RunDir:
        run = sample_run.new_run(tmp_path, "demo")
        command = [sys.executable, "-c", SCRIPT, str(run.root), "train", shell, "30"]
        started.append(subprocess.Popen(command, start_new_session=True))
        until(lambda: (tmp_path / "begun").exists(), PATIENCE_S)
        return run

    yield work
    for process in started:
        process.terminate()
        process.wait(PATIENCE_S)


def test_it_stays_until_the_stages_are_done_that_outlive_the_verb(
    work: Work, tmp_path: Path
) -> None:
    work(f"cd {tmp_path}; touch begun; while [ ! -e go ]; do sleep 0.1; done")
    entry = Entry(tmp_path, "runs")
    until(lambda: "demo is still at work, and the container stays" in entry.said, PATIENCE_S)
    assert "exec -it CONTAINER headwater tui demo` opens the dashboard again" in entry.said
    (tmp_path / "go").touch()
    assert entry.process.wait(PATIENCE_S) == 0


def test_its_exit_code_is_that_of_the_stage_that_failed(work: Work, tmp_path: Path) -> None:
    work(f"cd {tmp_path}; touch begun; while [ ! -e go ]; do sleep 0.1; done; exit 3")
    entry = Entry(tmp_path, "runs")
    until(lambda: stays(entry), PATIENCE_S)
    (tmp_path / "go").touch()
    assert entry.process.wait(PATIENCE_S) == 3


def stays(entry: Entry) -> bool:
    return "is still at work" in entry.said


def has_begun_the_verb(entry: Entry) -> bool:
    pid = entry.process.pid
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text())


@pytest.mark.parametrize(
    ("verb", "begun"), [(("runs",), stays), (("wait", "demo"), has_begun_the_verb)]
)
def test_the_end_of_the_container_lets_a_stage_write_its_checkpoint(
    work: Work, tmp_path: Path, verb: tuple[str, ...], begun: Callable[[Entry], bool]
) -> None:
    run = work(
        f"cd {tmp_path}; trap 'touch checkpoint; exit 130' TERM; touch begun; "
        "while :; do sleep 0.1; done"
    )
    entry = Entry(tmp_path, *verb)
    until(lambda: begun(entry), PATIENCE_S)
    entry.signal(signal.SIGTERM)
    assert entry.process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    assert (tmp_path / "checkpoint").exists()
    assert not is_locked(run)
    assert read_json(run.exit("train"))["state"] == "cancelled"
    assert "stopping demo" in entry.said
    assert "`headwater resume demo` goes on" in entry.said


def test_ctrl_c_while_it_stays_stops_the_stages(work: Work, tmp_path: Path) -> None:
    run = work(f"cd {tmp_path}; touch begun; while :; do sleep 0.1; done")
    entry = Entry(tmp_path, "runs")
    until(lambda: stays(entry), PATIENCE_S)
    entry.signal(signal.SIGINT)
    assert entry.process.wait(PATIENCE_S) == 130
    assert read_json(run.exit("train"))["state"] == "cancelled"


def test_runs_of_another_container_are_not_waited_for(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path, "demo")
    lock = acquire_lock(run)
    here = ProcessIdentity.of(os.getpid())
    SupervisorState(replace(here, host="elsewhere"), ("train",), token="x").write(run)
    entry = Entry(tmp_path, "runs")
    assert entry.process.wait(PATIENCE_S) == 0
    assert "still at work" not in entry.said
    os.close(lock)


def test_exit_codes_and_results_are_those_of_the_verb(tmp_path: Path) -> None:
    entry = Entry(tmp_path, "rank", "nothing", "--prompt", "x")
    assert entry.process.wait(PATIENCE_S) == 2
    assert "there is no run 'nothing'" in entry.said


def test_without_a_terminal_it_says_how_to_get_one(tmp_path: Path) -> None:
    entry = Entry(tmp_path)
    assert entry.process.wait(PATIENCE_S) == 2
    assert "`docker run -it`" in entry.said


def test_the_doctor_alone_says_what_is_missing(tmp_path: Path) -> None:
    entry = Entry(tmp_path, "doctor", "--help")
    assert entry.process.wait(PATIENCE_S) == 0
    assert "headwater: " not in entry.said
