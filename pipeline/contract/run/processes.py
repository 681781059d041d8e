"""Who is working in a run, told without trusting a process id alone.

The supervisor holds a lock on `run.lock` and hands it down to its stage, so the
kernel frees it exactly when the last of them is gone, even after SIGKILL.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.contract.errors import (
    DamagedResultError,
    HeadwaterError,
    RunBusyError,
    UsageError,
    disk_errors_explained,
)
from pipeline.contract.files import NO_FILE, read_json, write_json, write_text
from pipeline.contract.run.locks import NO_LOCKS, has_open, lock_holders, open_lock, take_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import is_running_job
from pipeline.contract.run.typed import require_types

TOKEN = "HEADWATER_RUN_TOKEN"
"""Variable of the environment that every process of a run has."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, distinguished from a later one with the same id."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/<pid>/stat: clock ticks since boot."""
    boot_id: str
    pid_namespace: int
    host: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The identity of a process of this machine, also of a zombie: a child that is over
        before its parent asks has one until it is waited for.

        Raises:
            ProcessLookupError: there is none with this id.
        """
        start_ticks = int(_stat(pid)[19])
        return cls(pid, start_ticks, _boot_id(), _pid_namespace(), socket.gethostname())

    def is_here(self) -> bool:
        """Whether its number means on this machine, and in this container, what it says."""
        here = (_boot_id(), _pid_namespace(), socket.gethostname())
        return (self.boot_id, self.pid_namespace, self.host) == here

    def is_alive(self) -> bool:
        """Whether this very process still runs here; a zombie does not."""
        try:
            return _stat(self.pid)[0] not in "ZX" and ProcessIdentity.of(self.pid) == self
        except ProcessLookupError:
            return False


@dataclass(frozen=True)
class SupervisorState:
    """The content of `state.json`."""

    supervisor: ProcessIdentity
    stages: tuple[str, ...]
    token: str
    """In the environment of every process that the run started."""
    stage: str = ""
    """The stage at work, if any."""
    stage_process: ProcessIdentity | None = None
    stage_started: float = 0.0
    exit_code: int | None = None
    """Set when the supervisor has nothing more to do."""
    asked: tuple[str, ...] = ()
    """Every stage that was ever asked for in this run; empty in runs of old."""
    began: float = 0.0
    """When the supervisor came up, in seconds since the epoch; 0 in runs of old."""

    def write(self, run: RunDir) -> None:
        """Replaces `state.json`."""
        write_json(run.state, asdict(self))

    @classmethod
    def read(cls, run: RunDir) -> SupervisorState | None:
        """The last supervisor's state, or None if there never was one.

        Raises:
            DamagedResultError: the file holds something else.
        """
        value = read_json(run.state)
        if value is None:
            return None
        try:
            child = value.pop("stage_process")
            state = cls(
                supervisor=require_types(ProcessIdentity(**value.pop("supervisor"))),
                stage_process=require_types(ProcessIdentity(**child)) if child else None,
                stages=tuple(map(str, value.pop("stages"))),
                asked=tuple(map(str, value.pop("asked", ()))),
                **value,
            )
            return require_types(state)
        except (AttributeError, KeyError, TypeError) as error:
            raise DamagedResultError(
                f"{run.state} does not say who works in the run",
                "remove it when no stage of the run is at work",
            ) from error


def acquire_lock(run: RunDir, wait_s: float = 2.0) -> int:
    """Takes the run's lock for as long as the returned file descriptor is open.

    Raises:
        RunBusyError: another supervisor, or a stage that outlived one, holds it.
        UsageError: the run's folder is gone, its lock is no file, or its filesystem has no locks.
    """
    try:
        descriptor = open_lock(run.lock)
    except FileNotFoundError:
        hint = "somebody has moved or deleted it; `headwater runs` lists those there are"
        raise UsageError(f"there is no run {run.root} any more", hint) from None
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        raise UsageError(f"{run.lock} is no plain file", "remove it") from error
    deadline = time.monotonic() + wait_s
    try:
        while not take_lock(descriptor, run.root):
            if time.monotonic() > deadline:
                raise busy(run)
            time.sleep(0.05)
    except HeadwaterError:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(run: RunDir) -> bool:
    """Whether a process is working in the run.

    Where the lock says nothing, because the filesystem has none or it is another account's, the
    last supervisor is looked for by its id, on this machine. Locks of a cluster's filesystem may
    hold on one machine alone: a supervisor in a Slurm job lives as long as that.
    """
    try:
        # for reading: a finished run may lie where nobody can write
        descriptor = os.open(run.lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in NO_FILE:
            return False
        if isinstance(error, PermissionError):
            return bool(lock_holders(run.lock)) or _is_supervised(run)
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return _is_supervised(run)
    finally:
        os.close(descriptor)
    return is_running_job(run) and _is_supervised(run)


def _is_supervised(run: RunDir) -> bool:
    with suppress(DamagedResultError, OSError):
        state = SupervisorState.read(run)
        if state is None or state.exit_code is not None:
            return False
        return state.supervisor.is_alive() or (
            not state.supervisor.is_here() and is_running_job(run)
        )
    return False


def request_cancel(run: RunDir) -> bool:
    """Asks whatever works in the run to stop; a second request kills it. False: nothing does.

    Raises:
        UsageError: the run is somebody else's, who does not let us write there.
    """
    if not is_locked(run):
        return False
    with disk_errors_explained(run.root):
        write_text(run.cancel_request, "force" if run.cancel_request.exists() else "stop")
        state = SupervisorState.read(run)
        if state and not state.supervisor.is_alive():
            _signal_orphan(run, state, force=run.cancel_request.read_text() == "force")
    return True


def _signal_orphan(run: RunDir, state: SupervisorState, force: bool) -> None:
    """Signals a stage that its killed supervisor left behind, with its process group."""
    stage = state.stage_process
    if not stage or stage.pid <= 1 or not stage.is_alive():
        return
    if has_open(stage.pid, run.lock) and _has_variable(stage.pid, f"{TOKEN}={state.token}"):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(stage.pid, signal.SIGKILL if force else signal.SIGTERM)


def _has_variable(pid: int, variable: str) -> bool:
    with suppress(OSError):
        return variable.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def busy(run: RunDir) -> RunBusyError:
    """Says who holds the run's lock."""
    state = SupervisorState.read(run)
    own = [state.supervisor, state.stage_process] if state else []
    holders = lock_holders(run.lock)
    # one in a container is seen from outside under another number
    elsewhere = state and state.exit_code is None and not state.supervisor.is_here()
    if holders and not elsewhere and not any(process and process.is_alive() for process in own):
        ids = ", ".join(map(str, holders))
        hint = f"`ps -p {holders[0]}` shows what it is; or copy the run, and work in the copy"
        return RunBusyError(
            f"run {run.name} is being worked on by process {ids}, which holds {run.lock} and is "
            "none of those that the run names",
            hint,
        )
    who = f" by process {state.supervisor.pid} on {state.supervisor.host}" if state else ""
    what = f", stage {state.stage}" if state and state.stage else ""
    hint = f"`headwater logs -f {run.name}` follows it, `headwater cancel {run.name}` stops it"
    return RunBusyError(f"run {run.name} is being worked on{who}{what}", hint)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, the state, on."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    return stat.rpartition(")")[2].split()  # the command before it may hold anything


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
