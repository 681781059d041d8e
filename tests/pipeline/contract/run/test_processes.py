"""Who works in a run is told by the kernel: nobody is taken for it because a file names them."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.contract.errors import RunBusyError, UsageError
from pipeline.contract.run.asking import WorkerAddress, stop_worker
from pipeline.contract.run.freshness import Done, begin, finish
from pipeline.contract.run.locks import open_lock
from pipeline.contract.run.processes import (
    TOKEN,
    ProcessIdentity,
    SupervisorState,
    acquire_lock,
    is_locked,
    request_cancel,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from tui import cli
from tui.verbs import running

READY = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "runs/one")
    run.root.mkdir(parents=True)
    return run


@contextmanager
def process(
    *open_files: Path, code: str = READY, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """A process that waits, a leader of its group, with the files open and the variables set."""
    opened = [os.open(path, os.O_RDWR | os.O_CREAT) for path in open_files]
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=opened,
        process_group=0,
        env={**os.environ, **variables},
    )
    for descriptor in opened:
        os.close(descriptor)
    assert started.stdout is not None
    started.stdout.readline()
    with started:
        try:
            yield started
        finally:
            started.kill()


def is_unharmed(one: subprocess.Popen[str]) -> bool:
    """Whether it ends by itself, once nothing is said to it any more."""
    assert one.stdin is not None
    with suppress(BrokenPipeError):
        one.stdin.close()
    return one.wait(60) == 0


def gone() -> ProcessIdentity:
    return replace(ProcessIdentity.of(os.getpid()), start_ticks=1)


def name_stage(run: RunDir, pid: int) -> None:
    """Lets the run's files name a process as the stage that a dead supervisor left."""
    stage = ProcessIdentity.of(pid)
    SupervisorState(gone(), ("train",), "the token", "train", stage).write(run)


STRANGERS: dict[str, Callable[[RunDir], tuple[list[Path], Mapping[str, str]]]] = {
    "that has nothing of it": lambda run: ([], {}),
    "that has its lock open": lambda run: ([run.lock], {}),
    "that has its token": lambda run: ([], {TOKEN: "the token"}),
    "that has the token of another run": lambda run: ([run.lock], {TOKEN: "another token"}),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_process_that_a_run_names_is_not_ended_for_that(run: RunDir, who: str) -> None:
    lock = acquire_lock(run)
    files, variables = STRANGERS[who](run)
    with process(*files, **variables) as stranger:
        name_stage(run, stranger.pid)
        assert request_cancel(run)
        assert request_cancel(run), "and again, by force"
        assert is_unharmed(stranger)
    os.close(lock)


def test_nor_where_the_lock_is_a_link_to_what_the_process_has_open(run: RunDir) -> None:
    file = run.root / "file"
    with process(file, **{TOKEN: "the token"}) as stranger, file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run.lock.symlink_to(file)
        name_stage(run, stranger.pid)
        request_cancel(run)
        assert is_unharmed(stranger)


def test_a_stage_that_its_supervisor_left_is_ended(run: RunDir) -> None:
    lock = acquire_lock(run)
    with process(run.lock, **{TOKEN: "the token"}) as stage:
        name_stage(run, stage.pid)
        assert request_cancel(run)
        assert stage.wait(60) != 0
    os.close(lock)


def finished_index(run: RunDir) -> str:
    settings = Settings.model_validate({"data": {"source": "demo"}})
    finish("index", begin("index", settings, run), settings, run, 0.1)
    done = Done.read("index", run)
    assert done is not None
    return done.id


@pytest.mark.parametrize("linked", [False, True])
def test_a_process_that_a_run_names_as_its_worker_is_nobody(run: RunDir, linked: bool) -> None:
    index, file = finished_index(run), run.root / "file"
    if linked:
        run.ask_lock.symlink_to(file)
    with process(file) as stranger:
        address = WorkerAddress(ProcessIdentity.of(stranger.pid), str(run.root / "socket"), index)
        run.ask_address.write_text(json.dumps(address.asdict()))
        assert WorkerAddress.read(run) is None
        assert not stop_worker(run)
        assert is_unharmed(stranger)


@pytest.mark.parametrize("content", ["[]", "{}", '{"process": 1}', '{"process": {"pid": "1"}}'])
def test_an_address_of_another_shape_is_nobodys(run: RunDir, content: str) -> None:
    run.ask_address.write_text(content)
    assert WorkerAddress.read(run) is None


def test_no_other_account_can_open_a_lock(run: RunDir) -> None:
    run.lock.touch(mode=0o644)  # of an earlier version
    os.close(acquire_lock(run))
    os.close(open_lock(run.ask_lock))
    for lock in (run.lock, run.ask_lock):
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_a_lock_of_another_account_leaves_what_the_run_says_of_itself(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.lock.touch()

    real = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == run.lock:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    assert not is_locked(run)
    SupervisorState(ProcessIdentity.of(os.getpid()), ("train",), "the token").write(run)
    assert is_locked(run)


def test_a_lock_of_another_account_is_seen_to_be_held(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = acquire_lock(run)
    real = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == run.lock:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    assert is_locked(run)
    os.close(lock)
    assert not is_locked(run)


def test_who_works_in_a_container_is_not_taken_for_a_stranger(run: RunDir) -> None:
    lock = acquire_lock(run)
    inside = replace(ProcessIdentity.of(os.getpid()), pid=7, pid_namespace=1)
    SupervisorState(inside, ("train",), "the token", stage="train").write(run)
    with pytest.raises(RunBusyError, match="is being worked on by process 7"):
        acquire_lock(run, wait_s=0)
    os.close(lock)


def test_a_lock_that_a_stranger_holds_is_told_with_the_process(run: RunDir) -> None:
    code = f"import fcntl, os; fcntl.flock(os.open({str(run.lock)!r}, 2), 2); {READY}"
    run.lock.touch()
    with process(code=code) as stranger, pytest.raises(RunBusyError) as told:
        acquire_lock(run, wait_s=0)
    assert f"process {stranger.pid}, which holds" in told.value.message


@pytest.mark.parametrize("put", [Path.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_file_is_no_lock(run: RunDir, put: Callable[[Path], None]) -> None:
    put(run.lock)
    with pytest.raises(UsageError, match="no plain file"):
        acquire_lock(run, wait_s=0)


def test_a_cancelled_run_is_not_waited_for_without_end(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE_S", 0.0)
    run.settings.touch()
    lock = acquire_lock(run)
    told = CliRunner().invoke(cli.main, ["--runs", str(run.root.parent), "cancel", "one"])
    os.close(lock)
    assert told.exit_code == RunBusyError.exit_code
    assert "none of those that the run names" in told.output
