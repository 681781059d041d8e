"""Stages that are killed at any moment, or whose disk is full, go on and end with the very results
of an undisturbed run.

`scripts/soak` does the same for all stages, and for much longer.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from pipeline.contract.errors import (
    ResourceError,
    RunBusyError,
    is_disk_full,
    is_out_of_memory,
)
from pipeline.contract.run.processes import is_locked
from pipeline.training.checkpoints import complete_checkpoints
from tests.faults.disks import FullDisk, NoDiskError, small_disk, survive_full_disk
from tests.faults.kills import Kill, Stages, Undisturbed, survive, survive_clock
from tests.faults.together import (
    steps_done,
    survive_all_killed,
    survive_suspension,
    suspended,
    until,
)
from tui.processes.launcher import start_stages

STAGES = ("prepare", "train", "factors", "scores")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    started = Stages(tmp_path_factory.mktemp("stages"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def whole(stages: Stages, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed.of(stages, tmp_path_factory.mktemp("whole"), STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_as_if_nothing_had_happened(
    stages: Stages, whole: Undisturbed, tmp_path: Path, stage: str
) -> None:
    rng = random.Random(stage)
    writes = whole.ended[stage].writes or 1
    kill = Kill(stage, write=rng.randint(writes // 2, writes - 2), power=1)
    ended, lost = survive(stages, whole, kill, tmp_path / "run", rng)
    assert ended.was_killed
    assert lost == ""


@pytest.mark.parametrize(("stage", "write"), [("factors", 0.9), ("scores", 0.6)])
def test_what_power_takes_from_one_pass_does_not_end_a_later_one(
    stages: Stages, whole: Undisturbed, tmp_path: Path, stage: str, write: float
) -> None:
    """Kronfluence left its files to the system; its next attempt took the cut ones for whole."""
    at = int((whole.ended[stage].writes or 1) * write)
    kill = Kill(stage, write=at, power=0)
    ended, lost = survive(stages, whole, kill, tmp_path / "run", random.Random(7))
    assert ended.lost, "files were cut"
    assert lost == ""


def test_a_checkpoint_that_power_has_cut_is_none(whole: Undisturbed, tmp_path: Path) -> None:
    run = whole.again("factors", tmp_path / "copy")
    newest, before, *_ = complete_checkpoints(run.checkpoints)
    state = newest / "optimizer.pt"
    os.truncate(state, state.stat().st_size // 2)
    assert complete_checkpoints(run.checkpoints)[0] == before
    assert not newest.exists()


def test_all_that_work_in_a_run_killed_at_once(whole: Undisturbed, tmp_path: Path) -> None:
    assert survive_all_killed(whole, tmp_path / "run", random.Random(0)) == ""


def test_processes_that_are_suspended_go_on(whole: Undisturbed, tmp_path: Path) -> None:
    assert survive_suspension(whole, tmp_path / "run") == ""


def test_another_host_is_told_who_works_in_the_run(whole: Undisturbed, tmp_path: Path) -> None:
    """Two hosts that see one folder and its locks: one of another name, by a namespace."""
    as_other = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh")
    if subprocess.run([*as_other, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no other host can be made here")
    run = whole.again("train", tmp_path / "run")
    start_stages(run, ("train",))
    until(lambda: steps_done(run) >= 1)
    command = [*as_other, sys.executable, "-P", "-m", "tui", "--runs", str(run.root.parent)]
    there = partial(subprocess.run, capture_output=True, text=True, check=False)
    with suspended(run):  # else it may have ended before the second command has begun
        seen = there([*command, "status", run.name])
        refused = there([*command, "run", "train", "--run", run.name])
    until(lambda: not is_locked(run))
    assert "running" in seen.stdout
    assert refused.returncode == RunBusyError.exit_code
    assert f"on {socket.gethostname()}" in refused.stderr
    assert whole.differs(run) == []


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_jumps_changes_nothing(
    stages: Stages, whole: Undisturbed, tmp_path: Path, years: int
) -> None:
    for stage in ("prepare", "scores"):
        assert survive_clock(stages, whole, stage, years * 365 * 86400.0, tmp_path / "run") == ""


@pytest.mark.parametrize(
    "full",
    [
        FullDisk("prepare", 8_192),
        FullDisk("train", 4_000_000),
        FullDisk("factors", 14_000_000),
        FullDisk("scores", 72_000),
        FullDisk("scores", 0),
    ],
    ids=str,
)
def test_a_stage_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    stages: Stages, whole: Undisturbed, tmp_path: Path, full: FullDisk
) -> None:
    try:
        with small_disk(tmp_path / "disk", 256 << 20) as disk:
            ended, lost = survive_full_disk(stages, whole, full, disk)
    except NoDiskError as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    assert lost == ""
    assert ended.code == ResourceError.exit_code


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        OSError("3392 requested and 1984 written"),
        Exception("No space left on device (os error 28)"),
        RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/3"),
    ],
    ids=repr,
)
def test_every_librarys_word_for_a_full_disk_is_known(error: Exception) -> None:
    assert is_disk_full(error)
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = error
    assert is_disk_full(wrapped)
    assert not is_disk_full(OSError(errno.EIO, os.strerror(errno.EIO)))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("unable to mmap 2114744 bytes from file <x>: Cannot allocate memory (12)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"),
        RuntimeError("can't start new thread"),
    ],
    ids=repr,
)
def test_every_librarys_word_for_no_memory_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_disk_full(error)
    assert not is_out_of_memory(OSError(errno.EIO, os.strerror(errno.EIO)))


@pytest.mark.parametrize(("stage", "mebibytes"), [("train", 60), ("factors", 40), ("scores", 40)])
def test_a_stage_without_memory_says_so_and_goes_on_when_there_is_some(
    stages: Stages, whole: Undisturbed, tmp_path: Path, stage: str, mebibytes: int
) -> None:
    """How much is enough depends on the machine: what has enough must come out right."""
    run, said_before = whole.again(stage, tmp_path / "run"), len(stages.told())
    ended = stages.run(stage, run, memory=mebibytes << 20)
    told = stages.told()[said_before:]
    assert ended.code in (0, ResourceError.exit_code), told[-2000:]
    assert ended.code == 0 or "out of memory" in told
    assert "Traceback" not in told
    if ended.code:
        assert stages.run(stage, run).code == 0
        assert whole.differs(run) == []


def test_too_few_open_files_are_said(stages: Stages, whole: Undisturbed, tmp_path: Path) -> None:
    run, said_before = whole.again("factors", tmp_path / "run"), len(stages.told())
    ended = stages.run("factors", run, descriptors=6)
    told = stages.told()[said_before:]
    assert ended.code == ResourceError.exit_code
    assert "too many open files" in told
    assert "ulimit -n" in told
    assert "Traceback" not in told
    assert stages.run("factors", run).code == 0
    assert whole.differs(run) == []
