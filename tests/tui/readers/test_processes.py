"""Processes are named by what they work at, or by their owner, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from pipeline.contract.children import ASKING, STAGES, stage_command, work_of
from pipeline.contract.gpus import GpuProcess, GpuSample
from tui.readers.processes import NOT_SEEN, ProcessSample, read_processes

GIB = 1 << 30


@contextmanager
def started(*arguments: str) -> Iterator[int]:
    """A process that waits, called with some arguments."""
    command = [sys.executable, "-c", "input()", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.communicate(b"\n")


def seen(pid: int, *gpus: GpuSample) -> ProcessSample:
    (found,) = [one for one in read_processes(gpus) if one.pid == pid]
    return found


def test_a_stage_of_ours_is_named_by_run_and_stage_without_any_gpu() -> None:
    with started("-m", STAGES, "train", "/far/runs/books") as pid:
        mine = seen(pid)
        assert (mine.name, mine.is_ours, mine.gpus) == ("books · train", True, ())
        assert mine.rss is not None
        assert mine.rss > 1 << 20
        assert mine.gpu_memory is None
    assert pid not in [one.pid for one in read_processes(())]


def test_memory_on_several_devices_is_added() -> None:
    with started("-m", STAGES, "scores", "/runs/books") as pid:
        gpus = [
            GpuSample("0", "H100", "a", processes=(GpuProcess(pid, 2 * GIB),)),
            GpuSample("1", "H100", "b", processes=(GpuProcess(pid, 3 * GIB), GpuProcess(1, None))),
            GpuSample("2", "H100", "c", processes=None),
        ]
        mine = seen(pid, *gpus)
        assert (mine.gpus, mine.gpu_memory) == (("0", "1"), 5 * GIB)
        assert read_processes(gpus)[0].is_ours


def test_another_process_on_a_gpu_has_its_owner_and_program() -> None:
    me = psutil.Process()
    other = seen(os.getpid(), GpuSample("0", "H100", "a", processes=(GpuProcess(me.pid, GIB),)))
    assert (other.name, other.is_ours) == (f"{me.username()} · {me.name()}", False)


def test_a_process_that_is_not_of_this_container_says_so() -> None:
    nobody = 1 << 30  # more than any kernel numbers
    told = seen(nobody, GpuSample("0", "H100", "a", processes=(GpuProcess(nobody, GIB),)))
    assert (told.name, told.gpu_memory, told.rss) == (NOT_SEEN, GIB, None)


@pytest.mark.parametrize(
    ("command", "work"),
    [
        (stage_command("train", "/runs/books"), ("/runs/books", "train")),
        (["python", "-P", "-m", ASKING, "/runs/books"], ("/runs/books", "ask")),
        (["python", "-m", "pipelines", "train", "/runs/books"], None),
        (["vim", "pipeline"], None),
        ([], None),
    ],
)
def test_a_command_line_tells_the_work(command: list[str], work: tuple[str, str] | None) -> None:
    assert work_of(command) == work
