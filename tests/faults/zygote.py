"""Runs stages in processes that have everything imported already, and kills them.

    python -m tests.faults.zygote

A stage's own process spends most of its time on imports. This one imports once and is copied by
`fork` for every attempt. A line of JSON on stdin asks for an attempt, a line on stdout says how it
ended; see `kills.Stages`, which starts it.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from itertools import count
from pathlib import Path
from typing import Any

WRITES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
"""Audit events of what changes a folder; "open" with a mode that writes is another."""


class Writes:
    """Counts what the process is about to write below a folder, and kills it before one of them."""

    def __init__(self, root: str, at: int | None) -> None:
        self.count = 0
        self._root, self._at = root, at
        self._own = os.getpid()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if event != "open" and event not in WRITES:
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        if str(arguments[0]).startswith(self._root) and os.getpid() == self._own:
            self.count += 1
            if self.count == self._at:
                os.kill(self._own, signal.SIGKILL)


class Synced:
    """Knows which files were synced, as they were then: (size, mtime) by inode."""

    def __init__(self) -> None:
        self._marks: dict[int, tuple[int, int]] = {}
        self._fsync = os.fsync
        os.fsync = self.fsync  # type: ignore[assignment]

    def fsync(self, descriptor: int) -> None:
        """Syncs and remembers."""
        self._fsync(descriptor)
        status = os.fstat(descriptor)
        self._marks[status.st_ino] = (status.st_size, status.st_mtime_ns)
        print(json.dumps([status.st_ino, *self._marks[status.st_ino]]), file=self.log, flush=True)

    log: Any = None


def jumping_clock(jump: float) -> None:
    """The clock of Python jumps with every third look at it, and back with the next."""
    real, looks = time.time, count()

    def now() -> float:
        return real() + (jump if next(looks) % 3 == 2 else 0.0)

    time.time = now


def limit_memory(more: int) -> None:
    """Lets the process take so many bytes of address space beyond those that it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def attempt(asked: dict[str, Any], log: Path) -> int:
    """One attempt of a stage, in this process."""
    from pipeline.__main__ import main
    from pipeline.contract.run.run_dir import RunDir

    root = asked["run"]
    synced = Synced()
    synced.log = (log.parent / f"{log.name}.synced").open("a")
    if asked.get("clock") is not None:
        jumping_clock(asked["clock"])
    if asked.get("memory") is not None:
        limit_memory(asked["memory"])
    if asked.get("descriptors") is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked["descriptors"],) * 2)
    writes = Writes(root, asked.get("write"))
    sys.addaudithook(writes.hear)
    code = main(asked["stage"], RunDir(Path(root)))
    with (log.parent / f"{log.name}.writes").open("w") as file:
        file.write(str(writes.count))
    return code


def child(asked: dict[str, Any], log: Path) -> None:
    """The forked process; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        with log.open("ab") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        code = attempt(asked, log)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float | None) -> int:
    """The process's end; it is killed after so many seconds."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, 0 if deadline is None else os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            deadline = None
        time.sleep(0.001)


def lose_power(root: Path, since: float, log: Path, rng: random.Random) -> list[str]:
    """What was written since and not synced is lost in part, as after a loss of power."""
    marks: dict[int, tuple[int, int]] = {}
    synced = log.parent / f"{log.name}.synced"
    for line in synced.read_text().splitlines() if synced.exists() else ():
        inode, size, mtime = json.loads(line)
        marks[inode] = (size, mtime)
    lost = []
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        status = path.stat()
        is_new = max(status.st_mtime, status.st_ctime) >= since
        if is_new and marks.get(status.st_ino) != (status.st_size, status.st_mtime_ns):
            size = rng.choice([0, status.st_size // 2, status.st_size])
            if size < status.st_size:
                os.truncate(path, size)
                lost.append(str(path.relative_to(root)))
    return lost


def main() -> None:
    """Serves until stdin ends."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false")
    from pipeline.contract.run.stages import STAGES

    for name in (
        "pipeline.__main__",
        "pipeline.requirements",
        "pipeline.memory",
        "accelerate",
        "peft",
        "deepeval",
    ):
        importlib.import_module(name)
    for stage in STAGES:
        importlib.import_module(f"pipeline.stages.{stage}")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        log, root = Path(asked["log"]), Path(asked["run"])
        for end in (".writes", ".synced"):
            (log.parent / f"{log.name}{end}").unlink(missing_ok=True)
        begun, since = time.monotonic(), time.time()
        pid = os.fork()
        if pid == 0:
            child(asked, log)
        code = wait(pid, asked.get("seconds"))
        seconds = time.monotonic() - begun
        lost = []
        if code == -signal.SIGKILL and asked.get("power") is not None:
            lost = lose_power(root, since, log, random.Random(asked["power"]))
        written = log.parent / f"{log.name}.writes"
        writes = int(written.read_text()) if written.exists() else None
        print(
            json.dumps({"code": code, "seconds": seconds, "writes": writes, "lost": lost}),
            flush=True,
        )


if __name__ == "__main__":
    main()
