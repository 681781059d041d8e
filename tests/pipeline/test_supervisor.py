"""The supervisor: real processes, real signals, and the truth about how they ended."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contract.errors import RunBusyError, UsageError
from pipeline.contract.files import read_json
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.freshness import begin, finish, forget
from pipeline.contract.run.locks import refuse_without_locks
from pipeline.contract.run.processes import (
    ProcessIdentity,
    SupervisorState,
    acquire_lock,
    is_locked,
    request_cancel,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import GROUPS
from pipeline.contract.run.status import StageStatus, left_over, run_status
from pipeline.contract.settings.schema import Settings

SETTINGS = Settings.model_validate({"data": {"path": "nowhere"}})
SCRIPT = """
import sys
from pathlib import Path
from pipeline import supervisor
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
run, stages, shell = RunDir(Path(sys.argv[1])), tuple(sys.argv[2].split()), sys.argv[3]
supervisor.GRACE_S = float(sys.argv[4])
command = lambda stage, run: ["bash", "-c", shell, stage]
sys.exit(supervisor.Supervisor(run, stages, acquire_lock(run), command).supervise())
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


@pytest.fixture
def start(run: RunDir) -> Iterator[Start]:
    """Starts a supervisor whose stages are a line of shell; kills what a failed test left."""
    started: list[subprocess.Popen[bytes]] = []

    def start(shell: str, stages: str = "train", grace: float = 30.0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SCRIPT, str(run.root), stages, shell, str(grace)]
        process = subprocess.Popen(command, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(10)


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def stage_pid(run: RunDir) -> int | None:
    state = SupervisorState.read(run)
    return state.stage_process.pid if state and state.stage_process else None


def train(run: RunDir) -> StageStatus:
    return next(status for status in run_status(run, SETTINGS) if status.stage == "train")


def test_stages_run_in_turn_until_one_fails(run: RunDir, start: Start) -> None:
    code = start("echo $0; [ $0 != train ]", stages="prepare train factors").wait(20)
    assert code == 1
    begun, line, ended = run.log("prepare").read_text().splitlines()
    assert line == "prepare"
    clock = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(f"── begun {clock} ──", begun), "attempts are kept apart"
    assert re.fullmatch(f"── ended {clock} ──", ended)
    assert read_json(run.exit("prepare"))["state"] == "done"
    assert read_json(run.exit("train"))["state"] == "failed"
    assert not run.log("factors").exists()
    assert train(run).state == "failed"


def test_a_failed_stage_stops_only_those_that_need_it(run: RunDir, start: Start) -> None:
    stages = "prepare train factors scores benchmark report"
    shell = f"echo $0; mkdir -p {run.root}/$0; case $0 in factors) exit 3;; esac; "
    shell += f"touch {run.root}/$0/done.json"
    assert start(shell, stages=stages).wait(20) == 3
    ran = [stage for stage in stages.split() if run.log(stage).exists()]
    assert ran == ["prepare", "train", "factors", "benchmark", "report"]


def test_no_report_is_written_of_nothing(run: RunDir, start: Start) -> None:
    assert start("exit 1", stages="prepare train report").wait(20) == 1
    assert not run.log("train").exists()
    assert not run.log("report").exists()


@pytest.mark.parametrize(
    "code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ENOSYS], ids=errno.errorcode.get
)
def test_without_file_locks_a_run_is_read_and_nothing_is_started_in_it(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    run.lock.touch()
    monkeypatch.setattr("fcntl.flock", flock)
    assert not is_locked(run)
    with pytest.raises(UsageError, match="has no file locks"):
        acquire_lock(run, wait_s=0)
    with pytest.raises(UsageError, match="keep the runs on another disk"):
        refuse_without_locks(run)
    me = ProcessIdentity.of(os.getpid())
    state = SupervisorState(me, ("train",), "token", stage="train", stage_process=me)
    state.write(run)
    assert is_locked(run), "its supervisor is alive"
    replace(state, exit_code=0).write(run)
    assert not is_locked(run)
    assert train(run).state == "waiting"


def test_what_was_to_run_again_is_not_done_where_it_was_not_reached(
    run: RunDir, start: Start
) -> None:
    assert start("true", stages="train").wait(20) == 0
    forget("train", run)  # as `run prepare train --force` does
    assert start("false", stages="prepare train").wait(20) == 1
    assert train(run).state == "lost"
    assert "was to run again" in train(run).message


def test_what_is_left_over_is_what_was_asked_for_and_what_that_needs(
    run: RunDir, start: Start
) -> None:
    assert left_over(run_status(run, SETTINGS)) == GROUPS["all"]  # nobody knows what was asked for
    start('[ "$0" = prepare ]', "prepare train benchmark").wait()
    finish("prepare", begin("prepare", SETTINGS, run), SETTINGS, run, seconds=1.0)
    found = run_status(run, SETTINGS)
    assert left_over(found) == ("train", "benchmark")
    assert [s.stage for s in found if s.unasked] == ["index", "validate", "prove"]
    start("exit 1", "inspect").wait()  # asked for in between: the former is not forgotten
    left = left_over(run_status(run, SETTINGS))
    assert left == ("train", "factors", "inspect", "benchmark")


def test_a_stage_that_has_only_begun_tells_nothing_of_its_last_attempt(
    run: RunDir, start: Start
) -> None:
    events = EventWriter(run.events, "train")
    events.started(1)
    events.progress(9, 10, "steps", "training")
    events.warning("one")
    written = time.time()
    until(lambda: time.time() > written + 0.002)  # events tell their time in milliseconds
    start("sleep 60")
    until(lambda: stage_pid(run))
    status = train(run)
    assert (status.state, status.done, status.total, status.warnings) == ("running", None, None, 0)
    assert (status.phase, status.share) == ("starting", None)
    assert status.seconds is not None
    assert status.seconds < 10


def test_while_it_works_the_others_wait_in_the_queue(run: RunDir, start: Start) -> None:
    start("sleep 60", stages="train factors")
    until(lambda: stage_pid(run))
    states = {status.stage: status.state for status in run_status(run, SETTINGS)}
    assert (states["train"], states["factors"], states["scores"]) == (
        "running",
        "queued",
        "waiting",
    )


def test_a_second_supervisor_is_told_who_runs_it(run: RunDir, start: Start) -> None:
    first = start("sleep 60")
    until(lambda: stage_pid(run))
    with pytest.raises(RunBusyError, match=f"by process {first.pid} .*, stage train"):
        acquire_lock(run, wait_s=0)


def test_cancel_ends_the_whole_process_group(run: RunDir, start: Start) -> None:
    supervisor = start("sleep 61 & wait")
    until(lambda: stage_pid(run))
    assert request_cancel(run)
    assert supervisor.wait(10) == 130
    assert train(run).state == "cancelled"
    assert not is_locked(run)
    assert not run.cancel_request.exists()


def test_a_stage_that_will_not_stop_is_killed_after_the_grace(run: RunDir, start: Start) -> None:
    supervisor = start("trap '' TERM; echo up; while :; do sleep 0.1; done", grace=0.5)
    until(lambda: run.log("train").exists() and run.log("train").read_text())
    request_cancel(run)
    assert supervisor.wait(10) == 130
    assert train(run).state == "cancelled"


def test_a_second_request_kills_at_once(run: RunDir, start: Start) -> None:
    supervisor = start("trap '' TERM; echo up; while :; do sleep 0.1; done")
    until(lambda: run.log("train").exists() and run.log("train").read_text())
    until(lambda: train(run).state == "running")  # the stage may be up before that is written
    request_cancel(run)
    assert train(run).state == "stopping"
    request_cancel(run)
    assert supervisor.wait(5) == 130


def test_a_stage_killed_from_outside_is_lost_not_done(run: RunDir, start: Start) -> None:
    supervisor = start("sleep 60")
    until(lambda: stage_pid(run))
    os.kill(stage_pid(run) or 0, signal.SIGKILL)
    assert supervisor.wait(10) == 1
    assert train(run).state == "lost"
    assert "SIGKILL" in train(run).message


def test_what_a_stage_leaves_in_a_session_of_its_own_is_swept(run: RunDir, start: Start) -> None:
    start("setsid sleep 62 & echo $!; sleep 0.3").wait(10)
    orphan = int(run.log("train").read_text().splitlines()[1])
    until(lambda: not Path(f"/proc/{orphan}").exists())


def test_a_stage_outlives_its_killed_supervisor_and_can_still_be_stopped(
    run: RunDir, start: Start
) -> None:
    supervisor = start("sleep 60")
    until(lambda: stage_pid(run))
    supervisor.kill()
    supervisor.wait()
    assert is_locked(run), "the stage holds the lock on"
    with pytest.raises(RunBusyError):
        acquire_lock(run, wait_s=0)
    request_cancel(run)
    until(lambda: not is_locked(run))
    assert train(run).state == "lost"


def test_sigterm_to_the_supervisor_stops_the_stage_first(run: RunDir, start: Start) -> None:
    supervisor = start("sleep 60")
    until(lambda: stage_pid(run))
    supervisor.terminate()
    assert supervisor.wait(10) == 130
    assert train(run).state == "cancelled"


def test_a_run_of_a_dead_process_with_a_recycled_id_is_not_taken_for_alive(run: RunDir) -> None:
    process = subprocess.Popen(["sleep", "60"])
    identity = ProcessIdentity.of(process.pid)
    assert identity.is_alive()
    assert not replace(identity, start_ticks=identity.start_ticks - 1).is_alive()
    process.kill()
    process.wait()
    assert not identity.is_alive()


def test_a_child_that_is_over_before_it_is_looked_at_is_known_but_not_alive() -> None:
    """So fast can a stage fail; the supervisor once died of it and left no word."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not ProcessIdentity.of(process.pid).is_alive()
    process.wait()
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(process.pid)


def test_the_last_attempt_tells_why_it_failed(run: RunDir) -> None:
    writer = EventWriter(run.events, "train")
    writer.started(1)
    writer.failed("no", "do this")
    assert (train(run).state, train(run).message) == ("failed", "no\ndo this")
    writer.started(2)
    writer.cancelled("stopped on request")
    assert train(run).state == "cancelled"
