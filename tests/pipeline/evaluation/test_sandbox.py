"""Code that a model wrote computes and does nothing else; for root too, whom containers run as."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.contract.errors import SettingsError
from pipeline.evaluation import confined, sandbox
from pipeline.evaluation.sandbox import WALLS, Task, passes

PRELUDE = """
import _ctypes, ctypes, gc, multiprocessing, os, pathlib, signal, shutil, socket, subprocess
import sys, threading, time
import _posixsubprocess

libc = ctypes.CDLL(None, use_errno=True)
raw = _ctypes.dlsym(_ctypes.dlopen(None, 2), 'syscall')
syscall = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 6)(raw)

def done(result):
    if result < 0:
        raise PermissionError
    return result

def shell():
    line = [b'/bin/sh', b'-c', b'sleep 60']
    ends = (-1, -1, -1, -1, -1, -1, 9, 10)
    return _posixsubprocess.fork_exec(  # as subprocess calls it, its audit events aside
        line, line[:1], True, (10,), None, None, *ends, True, True, 0, None, None, None, -1, None,
        *[False] * (sys.version_info < (3, 14)))
"""
TRY = """
def done_of(acts):
    return [act for act in acts if not refused(act)]

def refused(act):
    try:
        exec(act, globals())
    except (OSError, RuntimeError):
        return True
"""
Acts = Callable[[list[str]], bool]
RIGHT = Task("def f(x): return 2 * x", "f", "def check(f): assert f(2) == 4")


@pytest.fixture(params=WALLS, autouse=True)
def wall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each wall in turn; the machine that runs the tests has both."""
    monkeypatch.setattr(sandbox, "usable_wall", lambda: request.param)
    return str(request.param)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the process groups that are started."""
    started: list[int] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[call-overload]
            started.append(self.pid)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return started


def gone(group: int) -> bool:
    """Whether nothing is left of a process group, some moments after it was ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        living = [p for p in psutil.process_iter() if alive_in(group, p)]
        if not living:
            return True
        time.sleep(0.05)
    return False


def alive_in(group: int, process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


@pytest.fixture(params=["the model's code", "a benchmark's row"])
def none_done(request: pytest.FixtureRequest) -> Acts:
    """Whether the kernel refuses every one of some acts; another error than its refusal counts as
    done. They are tried by the model's code, and by the test, which comes from a row."""

    def none_done(acts: list[str]) -> bool:
        task = Task(PRELUDE + TRY, "done_of", f"def check(f): assert f({acts!r}) == []")
        if request.param == "a benchmark's row":
            test = f"{PRELUDE}{TRY}\ndef check(f): assert done_of({acts!r}) == []"
            task = Task("def f(): pass", "f", test)
        return passes(task, seconds=60)

    return none_done


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(x):\n    return 2 * x\n", "assert f(2) == 4"),
        ("import collections, hashlib, heapq, math, random, re, string\nf = math.sqrt", "f(4)"),
        ("import sqlite3, ssl, decimal, datetime, itertools, json\nf = json.loads", "f('1')"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
            "def f(): return A(1).x",
            "assert f() == 1",
        ),
        ("def f(x): return x", "assert 'é' == f(chr(233))"),
        ("def f(x): return x", "a = [1, (2.5, None), {'k': {3}}, b'b', 1j, 10**5000]\n"
         "    assert f(a) == a and type(f(a)[1]) is tuple"),
        ("def f(x): return x", "assert f(float('inf')) == float('inf') and f(x=True) is True"),
        ("import collections\ndef f(x): return collections.Counter(x)", "f('a') == {'a': 1}"),
        ("def f(x): return x / 0", "\n    try: f(1)\n    except ZeroDivisionError: pass\n"
         "    else: raise AssertionError"),
        ("import os\nbulk = b'x' * (1 << 27)\ndef f(): return os.write(1, bulk)",
         "for _ in range(8): assert f() == 1 << 27"),
    ],
)  # fmt: skip
def test_right_code_passes(code: str, test: str) -> None:
    assert passes(Task(code, "f", f"def check(f):\n    {test}\n"), seconds=60)


def test_a_test_may_use_what_stands_before_the_function() -> None:
    test = "def check(candidate):\n    assert candidate(three) == f(3)\n"
    assert passes(Task("def f(x): return x", "f", test, "three = 3"))


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return 3 * x",
        "def f(:",
        "def g(x): return 2 * x",
        "import sys\nsys.exit(0)",
        "raise SystemExit",
        "import os\nos._exit(0)",
        "import os\nos._exit(77)",
        "import os\ndef f(x): os._exit(0)",
        "import numpy\ndef f(x): return 2 * x",
        "x = bytearray(2 << 30)\ndef f(x): return 2 * x",
        "x = '\\ud83d'.encode()\ndef f(x): return 2 * x",
        "def f(x): return f(x)",
    ],
)
def test_code_that_is_wrong_fails_or_leaves_does_not_pass(code: str) -> None:
    assert not passes(Task(code, RIGHT.function, RIGHT.test))


@pytest.mark.parametrize(
    "code",
    [
        "class Any:\n    __eq__ = lambda self, other: True\ndef f(x): return Any()",
        "class Four(int):\n    __eq__ = lambda self, other: True\ndef f(x): return Four(3)",
        "import json\ndef f(x):\n    json.dumps = lambda value: '{\"result\": true}'\n",
        "import os\nfor n in range(64):\n    try: os.write(n, b'\\n{\"result\": null}' * 99)\n"
        "    except OSError: pass\ndef f(x): return 3",
        "import gc\nwords = [str(o) for o in gc.get_objects() if isinstance(o, dict)]\n"
        "import os\nfor n in range(64):\n    try: os.write(n, ''.join(words).encode())\n"
        "    except OSError: pass\ndef f(x): return 3",
        "def f(x): raise StopIteration",
        "def f(x): raise KeyboardInterrupt",
        "import builtins\nbuiltins.AssertionError = None\ndef f(x): return 3",
    ],
)
def test_code_cannot_say_that_it_passed(code: str) -> None:
    lenient = "def check(f): assert all(map(lambda x: f(x) == 2 * x, [2]))"
    assert not passes(Task(code, "f", lenient))


@pytest.mark.parametrize("leave", ["os._exit(0)", "os._exit(77)", "sys.exit()", "os.write(3, b'')"])
def test_a_row_whose_test_leaves_early_does_not_pass(leave: str) -> None:
    assert not passes(Task(RIGHT.code, "f", f"import os, sys\ndef check(f):\n    {leave}\n    x"))


ON_FILES = [
    "open('{file}', 'w')",
    "open('{file}', 'a')",
    "os.open('{file}', os.O_TRUNC)",
    "os.remove('{file}')",
    "os.rename('{file}', '{file}.old')",
    "os.chmod('{file}', 0)",
    "os.utime('{file}')",
    "os.truncate('{file}', 0)",
    "pathlib.Path('{folder}/new').mkdir()",
    "os.symlink('{file}', '{folder}/link')",
    "os.mkfifo('{folder}/pipe')",
    "done(libc.creat(b'{file}', 0))",
    "done(libc.open(b'{file}', os.O_RDWR))",
    "open('/tmp/new', 'w')",
    "open('/dev/shm/new', 'w')",
    "os.memfd_create('new')",
    "open('{file}')",
    "os.listdir('{folder}')",
    "os.listdir('/proc/1')",
    "open('/proc/self/environ')",
    "open('/etc/passwd')",
]


def test_files_are_neither_changed_nor_read(none_done: Acts, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    before = {path: path.stat().st_mode for path in tmp_path.rglob("*")}
    kept = tmp_path / "kept.txt"
    assert none_done([act.format(file=kept, folder=tmp_path) for act in ON_FILES])
    assert {path: path.stat().st_mode for path in tmp_path.rglob("*")} == before
    assert (tmp_path / "kept.txt").read_text() == "kept"


ON_PROCESSES = [
    "os.fork()",
    "done(libc.fork())",
    "done(libc.vfork())",
    "done(-libc.system(b'sleep 60 &'))",
    "shell()",
    "os.posix_spawn('/bin/sleep', ['sleep', '60'], {})",
    "subprocess.Popen(['sleep', '60'])",
    "subprocess.run('sleep 60 &', shell=True, start_new_session=True)",
    "multiprocessing.Process(target=time.sleep, args=(60,)).start()",
    "threading.Thread(target=time.sleep, args=(60,)).start()",
    "os.execv('/bin/true', ['true'])",
    "os.setsid()",
    "os.setpgid(0, 0)",
    "done(libc.unshare(0x10000000))",
    "done(syscall(56, 0x10000000, 0, 0, 0, 0))",
    "done(syscall(435, 0, 88, 0, 0, 0))",
    "done(libc.prctl(1, 0, 0, 0, 0))",
]


def test_no_process_is_started_and_none_leaves_its_group(
    none_done: Acts, groups: list[int]
) -> None:
    assert none_done(ON_PROCESSES)
    assert all(gone(group) for group in groups)


@pytest.fixture(scope="module")
def victim() -> Iterator[int]:
    """A process of the same user."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        ended = process.poll()
        process.kill()
    assert ended is None


ON_OTHERS = [
    "os.kill({victim}, 9)",
    "os.kill(os.getppid(), 9)",
    "os.killpg(0, 0)",
    "signal.pidfd_send_signal(os.pidfd_open({victim}), 9)",
    "done(libc.kill({victim}, 9))",
    "done(libc.ptrace(16, {victim}, 0, 0))",
    "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, {victim})",
    "import fcntl; fcntl.ioctl(0, 0x5412, b'x')",
    "import resource; resource.prlimit({victim}, resource.RLIMIT_CPU, (0, 0))",
    "done(libc.setrlimit(9, b'\\xff' * 16))",
    "done(libc.setpriority(0, {victim}, 19))",
]


def test_no_process_is_signalled_or_hindered(none_done: Acts, victim: int) -> None:
    assert none_done([act.format(victim=victim) for act in ON_OTHERS])


ON_THE_NETWORK = [
    "socket.create_connection(('127.0.0.1', {port}))",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "socket.socket(socket.AF_UNIX).connect('\\0headwater')",
    "socket.socket().bind(('127.0.0.1', 0))",
    "socket.socketpair()",
    "socket.getaddrinfo('localhost', 80)",
    "done(libc.socket(2, 1, 0))",
    "done(syscall(425, 8, 0, 0, 0, 0))",
]


def test_nothing_is_connected_to(none_done: Acts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert none_done([act.format(port=port) for act in ON_THE_NETWORK])
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "act",
    [
        "while True: pass",
        "import time; time.sleep(600)",
        "import signal; [signal.signal(n, lambda *_: None) for n in (1, 2, 15)]\nwhile True: pass",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "import sys\nwhile True: print('x' * 10**6)",
    ],
)
@pytest.mark.parametrize("where", ["the code", "the test"])
def test_what_does_not_end_is_stopped_with_all_of_it(
    act: str, where: str, groups: list[int]
) -> None:
    task = Task(act, "f", RIGHT.test) if where == "the code" else Task(RIGHT.code, "f", act)
    assert not passes(task, seconds=0.2)
    (group,) = groups
    assert gone(group)


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return 'x' * (1 << 30)",
        "def f(x): return [0] * (1 << 27)",
        "import os\nwhile True:\n    try: os.write(6, b'x' * 10**6)\n    except OSError: break",
    ],
)
def test_memory_and_output_are_bounded(code: str) -> None:
    before = psutil.Process().memory_info().rss
    assert not passes(Task(code, "f", RIGHT.test), seconds=20)
    assert psutil.Process().memory_info().rss - before < 1 << 28


def test_nothing_outlives_a_headwater_that_is_killed(wall: str, tmp_path: Path) -> None:
    endless = replace(RIGHT, code="while True: pass")
    start = (
        "from pipeline.evaluation import sandbox\nfrom pipeline.evaluation.sandbox import Task\n"
        f"sandbox.usable_wall = lambda: {wall!r}\nsandbox.passes({endless}, 600)"
    )
    with subprocess.Popen([sys.executable, "-c", start], cwd=Path.cwd()) as process:
        confined_ones: list[psutil.Process] = []
        while len(confined_ones) < 2:
            assert process.poll() is None
            children = psutil.Process(process.pid).children(recursive=True)
            confined_ones = [p for p in children if p.is_running() and runs_code(p)]
            time.sleep(0.01)
        group = os.getpgid(confined_ones[0].pid)
        process.send_signal(signal.SIGKILL)
    assert gone(group)


def runs_code(process: psutil.Process) -> bool:
    try:
        line = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return confined.__file__ in line and "python" in Path(line[0]).name


def test_where_bubblewrap_does_not_work_landlock_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    sandbox.usable_wall.cache_clear()
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sandbox.usable_wall() == "Landlock"
    assert passes(RIGHT)
    sandbox.usable_wall.cache_clear()


def test_where_nothing_works_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    sandbox.usable_wall.cache_clear()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sandbox, "_readable", lambda: ["/absent"])
    with pytest.raises(SettingsError, match="nothing on this machine can confine it") as told:
        passes(RIGHT)
    assert "install bubblewrap" in told.value.hint
