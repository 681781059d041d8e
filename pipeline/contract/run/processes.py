"""Who is working in a run, told without trusting a process id alone.

The supervisor holds a lock on `run.lock` and hands it down to its stage, so the
kernel frees it exactly when the last of them is gone, even after SIGKILL.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import tempfile
import time
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
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO}


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
        UsageError: the run's folder is gone, or its filesystem has no locks.
    """
    try:
        descriptor = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        hint = "somebody has moved or deleted it; `headwater runs` lists those there are"
        raise UsageError(f"there is no run {run.root} any more", hint) from None
    deadline = time.monotonic() + wait_s
    try:
        while not take_lock(descriptor, run.root):
            if time.monotonic() > deadline:
                raise RunBusyError(*_busy(run))
            time.sleep(0.05)
    except HeadwaterError:
        os.close(descriptor)
        raise
    return descriptor


def take_lock(descriptor: int, where: Path) -> bool:
    """Locks an open file for this process alone; False where another holds it.

    Raises:
        UsageError: the filesystem has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        told = errno.errorcode.get(error.errno, str(error.errno))
        raise UsageError(
            f"the filesystem of {where} has no file locks ({told}): two processes could work in "
            "one run and spoil it",
            "keep the runs on another disk with --runs DIR, such as a local one; or mount this one "
            "with locks (NFS: without nolock, with its lock service running)",
        ) from error
    return True


def refuse_without_locks(run: RunDir) -> None:
    """Refuses a run's folder, which exists, where no work could be locked.

    Raises:
        UsageError: its filesystem has no locks.
    """
    with tempfile.TemporaryFile(dir=run.root) as file:
        take_lock(file.fileno(), run.root)


def is_locked(run: RunDir) -> bool:
    """Whether a process is working in the run.

    Where the filesystem has no locks the last supervisor is looked for by its id, on this machine.
    """
    try:
        # for reading: a finished run may lie where nobody can write
        descriptor = os.open(run.lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in NO_FILE:
            return False
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        state = SupervisorState.read(run)
        return state is not None and state.exit_code is None and state.supervisor.is_alive()
    finally:
        os.close(descriptor)
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
            _signal_orphan(state, force=run.cancel_request.read_text() == "force")
    return True


def _signal_orphan(state: SupervisorState, force: bool) -> None:
    """Signals a stage that its killed supervisor left behind, with its process group."""
    stage = state.stage_process
    if stage and stage.pid > 1 and stage.is_alive():
        os.killpg(stage.pid, signal.SIGKILL if force else signal.SIGTERM)


def _busy(run: RunDir) -> tuple[str, str]:
    state = SupervisorState.read(run)
    who = f" by process {state.supervisor.pid} on {state.supervisor.host}" if state else ""
    what = f", stage {state.stage}" if state and state.stage else ""
    hint = f"`headwater logs -f {run.name}` follows it, `headwater cancel {run.name}` stops it"
    return f"run {run.name} is being worked on{who}{what}", hint


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
