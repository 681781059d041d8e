"""Runs code that a model wrote: a process that changes nothing, with little time and memory.

It is no wall against a determined attacker. It keeps accidents away: an isolated interpreter in
an empty folder and an empty environment that refuses to write, to remove, to connect and to start
or signal processes (see `confined`); limits on time, memory, files and processes; and, where the
system allows it, a network namespace with nothing in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import tempfile

from pipeline.contract.children import python_command
from pipeline.evaluation import confined

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_MEMORY = 1 << 30
_PROGRAM = confined.__file__


def passes(code: str, seconds: float = 10.0) -> bool:
    """Whether the code runs to its end without an error, within the limits; nothing that it does
    outlives it."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            python_command("-I", "-S", "-B", _PROGRAM),
            cwd=folder,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_limit,
        )
        try:
            process.communicate(code.encode("utf-8", "replace"), timeout=seconds)
            return process.returncode == confined.PASSED
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
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
