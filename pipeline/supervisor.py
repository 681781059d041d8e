"""Runs stages one after the other, each in its own process, and outlives the dashboard.

    python -m pipeline.supervisor RUN_DIR STAGE [STAGE …]

Standard library only. It leads a session of its own (the caller starts it so), holds the
run's lock, writes down how each stage ended, and stops a stage on request: SIGTERM to
its process group, SIGKILL after a while, then a sweep of what the group left behind.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

from pipeline.contract import children
from pipeline.contract.children import child_environment
from pipeline.contract.errors import CancelledError, HeadwaterError, disk_errors_explained
from pipeline.contract.files import lenient_output, write_json
from pipeline.contract.run.processes import (
    TOKEN,
    ProcessIdentity,
    SupervisorState,
    acquire_lock,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES, upstream

GRACE_S = 30.0
_POLL_S = 0.1
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Runs the stages and returns the exit code of the first that failed, or 0."""
    lenient_output()
    run, stages = RunDir(Path(arguments[0])), tuple(arguments[1:])
    try:
        with disk_errors_explained(run.root):
            lock = acquire_lock(run)
            return Supervisor(run, stages, lock).supervise()
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def stage_command(stage: str, run: RunDir) -> list[str]:
    """The command line of a stage's process."""
    return children.stage_command(stage, str(run.root))


class Supervisor:
    """Runs the stages of one run in order, but none that needs one which failed."""

    def __init__(
        self,
        run: RunDir,
        stages: tuple[str, ...],
        lock: int,
        command: Callable[[str, RunDir], list[str]] = stage_command,
    ) -> None:
        self._run = run
        self._lock = lock
        self._command = command
        self._terminated = False
        before = SupervisorState.read(run)
        asked = dict.fromkeys([*(before.asked if before else ()), *stages])
        self._state = SupervisorState(
            ProcessIdentity.of(os.getpid()),
            stages,
            token=secrets.token_hex(8),
            asked=tuple(asked),
            began=time.time(),
        )

    def supervise(self) -> int:
        """Runs the stages in turn; a failed one stops only those that need what it makes.

        Returns the exit code of the first that failed; 0 if none did.
        """
        _adopt_orphans()
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self._run.cancel_request.unlink(missing_ok=True)
        self._state.write(self._run)
        failed: dict[str, int] = {}
        for stage in self._state.stages:
            if self._is_pointless(stage, failed):
                continue
            code = self._run_stage(stage)
            if code != 0:
                failed[stage] = code
            if self._stopping or code == CancelledError.exit_code:
                break
        code = next(iter(failed.values()), 0)
        self._run.cancel_request.unlink(missing_ok=True)
        self._update(stage="", stage_process=None, exit_code=code)
        return code

    def _is_pointless(self, stage: str, failed: Collection[str]) -> bool:
        """Whether a stage needs one that has failed, or shows the results of others and there are
        none."""
        if not failed:
            return False
        needs, uses = upstream(stage) & set(failed), STAGES[stage].uses
        return bool(needs) or (
            not STAGES[stage].needs and not any(self._run.done(name).exists() for name in uses)
        )

    def _on_sigterm(self, _signal: int, _frame: FrameType | None) -> None:
        self._terminated = True

    def _update(self, **changes: object) -> None:
        self._state = dataclasses.replace(self._state, **changes)  # type: ignore[arg-type]
        self._state.write(self._run)

    def _run_stage(self, stage: str) -> int:
        log = self._run.log(stage)
        log.parent.mkdir(exist_ok=True)
        self._run.exit(stage).unlink(missing_ok=True)
        started = time.time()
        _mark(log, "begun", started)
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._command(stage, self._run),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=[self._lock],
                env=child_environment(**{TOKEN: self._state.token}),
            )
        identity = ProcessIdentity.of(process.pid)
        self._update(stage=stage, stage_process=identity, stage_started=started)
        status, peak_kib = self._wait(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        self._sweep()
        self._write_exit(stage, process.returncode, started, peak_kib * 1024)
        _mark(log, "ended", time.time())
        return process.returncode if process.returncode >= 0 else 130 if self._stopping else 1

    @property
    def _stopping(self) -> bool:
        return self._terminated or self._run.cancel_request.exists()

    def _wait(self, pid: int) -> tuple[int, int]:
        """Waits for the stage; gives its wait status and its peak resident memory in KiB."""
        asked_at: float | None = None
        while True:
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended == pid:
                return status, usage.ru_maxrss
            if self._stopping:
                if asked_at is None:
                    asked_at = time.monotonic()
                    os.killpg(pid, signal.SIGTERM)
                if self._forced() or time.monotonic() - asked_at > GRACE_S:
                    os.killpg(pid, signal.SIGKILL)
            time.sleep(_POLL_S)

    def _forced(self) -> bool:
        try:
            return self._run.cancel_request.read_text() == "force"
        except FileNotFoundError:
            return False

    def _sweep(self) -> None:
        """Kills the processes that the stage left behind, even in sessions of their own."""
        for pid in _processes_with(f"{TOKEN}={self._state.token}".encode()):
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
        for _ in _reaped():
            pass

    def _write_exit(self, stage: str, code: int, started: float, peak_rss: int) -> None:
        state, reason = _ending(code, self._stopping)
        record = {
            "code": code,
            "state": state,
            "reason": reason,
            "started": started,
            "ended": time.time(),
            "peak_rss": peak_rss,
        }
        write_json(self._run.exit(stage), record)


def _mark(log: Path, word: str, seconds: float) -> None:
    """Keeps a log's attempts apart by the machine's clock; `seconds`: since the epoch."""
    told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    # a full disk ends the log, not the supervisor
    with suppress(OSError), log.open("ab") as output:
        output.write(f"── {word} {told} ──\n".encode())


def _ending(code: int, stopping: bool) -> tuple[str, str]:
    """State and reason of a stage that exited with `code` (negative: by that signal)."""
    if code == 0:
        return "done", ""
    if code == 130 or (code < 0 and stopping):
        return "cancelled", "stopped on request"
    if code < 0:
        name = signal.Signals(-code).name
        likely = "; the machine may have run out of memory" if name == "SIGKILL" else ""
        return "lost", f"killed from outside by {name}{likely}"
    return "failed", f"exited with code {code}; see the log"


def _adopt_orphans() -> None:
    """Makes processes that a stage leaves behind children of this one, which can then reap them."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _processes_with(variable: bytes) -> Iterator[int]:
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            is_set = variable in environ.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if is_set:
            yield int(environ.parent.name)


def _reaped() -> Iterator[int]:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
