"""Runs code that a model wrote, where the kernel refuses all that does more than compute.

The code and its test run in two processes that share no memory (see `confined`). A seccomp filter
refuses them every system call that is not needed for computing. What they can read is Python's own
files: inside bubblewrap where that works, else by Landlock. Where neither does nothing is run.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from pipeline.contract.errors import SettingsError
from pipeline.evaluation import confined

_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_LINKER_CACHE = "/etc/ld.so.cache"


@dataclass(frozen=True)
class Task:
    """A function that a model wrote, and the test that it has to pass.

    `helpers` is code that the test may use, and that no model wrote. `test` defines
    `check(candidate)`. Arguments and results are plain data: numbers, texts, bytes and collections.
    """

    code: str
    function: str
    test: str
    helpers: str = ""


def passes(task: Task, seconds: float = 10.0) -> bool:
    """Whether the code passes its test within the limits; nothing that it does outlives it.

    Raises:
        SettingsError: nothing here could confine it.
    """
    return _passes(WALLS[usable_wall()](), task, seconds)


@cache
def usable_wall() -> str:
    """The name of the first of `WALLS` that works here.

    Raises:
        SettingsError: none does.
    """
    for name, command in WALLS.items():
        if _passes(command(), _PROBE, seconds=30):
            return name
    raise SettingsError(
        "humaneval runs code that models write, and nothing on this machine can confine it: "
        "neither bubblewrap nor Landlock works",
        "install bubblewrap (apt install bubblewrap), or use Linux 5.13 or newer on x86_64 or "
        "aarch64; or leave humaneval out of benchmark.chosen",
    )


def _readable() -> list[str]:
    """The folders that an interpreter imports from, and those of the libraries it loads."""
    python = {str(Path(sysconfig.get_path(name)).parent) for name in ("stdlib", "platstdlib")}
    return [folder for folder in (*sorted(python), *_SYSTEM_LIBRARIES) if Path(folder).is_dir()]


def _interpreter() -> tuple[str, ...]:
    """Itself, not a virtual environment's link to it."""
    program = sys._base_executable  # type: ignore[attr-defined]  # as the module venv uses it
    return (os.path.realpath(program), "-I", "-S", "-B", confined.__file__)


def _in_bubblewrap() -> list[str]:
    """No command where there is no bubblewrap."""
    program = shutil.which("bwrap")
    if program is None:
        return []
    own = _interpreter()
    seen = (*_readable(), own[0], own[-1])
    binds = [word for path in seen for word in ("--ro-bind", path, path)]
    return [
        *(program, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", *binds),
        *("--ro-bind-try", _LINKER_CACHE, _LINKER_CACHE, "--remount-ro", "/", "--chdir", "/"),
        *("--", *own),
    ]


def _with_landlock() -> list[str]:
    return [*_interpreter(), *_readable()]


WALLS: dict[str, Callable[[], list[str]]] = {
    "bubblewrap": _in_bubblewrap,
    "Landlock": _with_landlock,
}
"""What hides files → the command line of a process behind it; the best first."""

_PROBE = Task("def f(x): return x", "f", "def check(f): assert f(1) == 1")


def _passes(command: list[str], task: Task, seconds: float) -> bool:
    if not command:
        return False
    word = secrets.token_hex()
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        given.write(json.dumps({**asdict(task), "word": word}).encode())
        given.seek(0)
        process = subprocess.Popen(
            command,
            cwd="/",
            env={},
            stdin=given,
            stdout=told,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _end(process, seconds)
        told.seek(0)
        return told.read(len(word) + 1) == word.encode()


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Waits for it; then ends its group, whose number is its own until it has been waited for."""
    descriptor = os.pidfd_open(process.pid)
    try:
        ended = select.poll()
        ended.register(descriptor)
        ended.poll(1000 * seconds)
    finally:
        os.close(descriptor)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    print(usable_wall())
