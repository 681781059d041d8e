"""Runs code that a model wrote: a process without network, with little time and memory.

It is no wall against a determined attacker. It keeps accidents away: an isolated interpreter in
an empty folder, an empty environment, limits on time, memory, files and processes, and, where the
system allows it to an ordinary user, a network namespace with nothing in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_MEMORY = 1 << 30
_FILE = 1 << 20


def passes(code: str, seconds: float = 10.0) -> bool:
    """Whether the code runs to its end without an error, within the limits."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            cwd=folder,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_limit,
        )
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
            process.wait()


def _limit() -> None:
    """Between fork and exec of the child."""
    ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # refused on some systems
    for kind, most in (
        (resource.RLIMIT_CPU, 10),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
