"""Code that a model wrote: it runs and changes nothing; for root too, whom containers run as."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from pipeline.evaluation.sandbox import passes


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    return 2 * x\n\nassert f(2) == 4",
        "import collections, hashlib, heapq, math, random, re, string\nassert math.sqrt(4) == 2",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nassert A(1).x == 1",
        "assert 'é' == chr(233)",
    ],
)
def test_code_that_comes_to_its_end_passes(code: str) -> None:
    assert passes(code)


@pytest.mark.parametrize(
    "code",
    [
        "assert False",
        "def f(:",
        "import sys\nsys.exit(0)",
        "raise SystemExit",
        "import os\nos._exit(0)",
        "import numpy",
        "x = bytearray(2 << 30)",
        "x = '\\ud83d'.encode()",
        "def f(): f()\nf()",
    ],
)
def test_code_that_fails_or_leaves_before_its_end_does_not(code: str) -> None:
    assert not passes(code)


def refuses(act: str) -> bool:
    """Whether the very act is refused, and not the code around it at fault."""
    imports = "import multiprocessing, os, pathlib, shutil, socket, subprocess, time"
    return passes(f"{imports}\ntry:\n    {act}\nexcept PermissionError:\n    pass\nelse:\n    x")


@pytest.mark.parametrize("code", ["while True: pass", "import time\ntime.sleep(60)"])
def test_code_that_does_not_end_is_stopped(code: str) -> None:
    begun = time.monotonic()
    assert not passes(code, seconds=0.5)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "act",
    [
        "open('{file}', 'w')",
        "open('{file}', 'a')",
        "os.open('{file}', os.O_TRUNC)",
        "os.remove('{file}')",
        "os.rename('{file}', '{file}.old')",
        "os.chmod('{file}', 0)",
        "os.truncate('{file}', 0)",
        "shutil.rmtree('{folder}')",
        "pathlib.Path('{folder}/new').mkdir()",
        "os.symlink('{file}', '{folder}/link')",
    ],
)
def test_files_are_left_as_they_are(act: str, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    before = {path: path.stat().st_mode for path in tmp_path.rglob("*")}
    done = act.format(file=tmp_path / "kept.txt", folder=tmp_path)
    assert refuses(done)
    assert {path: path.stat().st_mode for path in tmp_path.rglob("*")} == before
    assert (tmp_path / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize(
    "act",
    [
        "os.fork()",
        "os.system('sleep 30')",
        "os.posix_spawn('/bin/sleep', ['sleep', '30'], {})",
        "subprocess.Popen(['sleep', '30'])",
        "subprocess.run('sleep 30 &', shell=True, start_new_session=True)",
        "multiprocessing.Process(target=time.sleep, args=(30,)).start()",
        "import ctypes; ctypes.CDLL(None).fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_no_other_process_is_started_or_signalled(act: str) -> None:
    assert refuses(act)
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert "sleep 30" not in commands


@pytest.mark.parametrize(
    "act",
    [
        "socket.socket().bind(('127.0.0.1', 0))",
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 80)",
    ],
)
def test_nothing_is_connected_to(act: str) -> None:
    assert refuses(act)
