"""Starts workers in processes that have everything imported already.

    python -m tests.pipeline.sharing.forked_workers

A line "KIND STAGE RUN_DIR PHASE MOMENT" on stdin starts one, or the stage itself where KIND says
so; the answer is its process id. It kills itself by SIGKILL in that phase: as a worker when it has
taken a partition ("stage") or computed it ("publish"), as the stage when it looks for a second
partition ("take"). A PHASE of "-" lets it live. Each answer to a benchmark is a part.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[3]
HELPING = [f"{room}.helping" for room in ("influence", "ask", "evaluation", "validation")]


class Workers:
    """Starts workers; all of them are gone when the context ends."""

    def __enter__(self) -> Workers:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._started: list[int] = []
        self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()  # a worker whose parent is gone ends
        self._process.communicate()

    def start(self, stage: str, root: Path, dies_in: str = "-", moment: str = "publish") -> int:
        """Starts a worker; its process id."""
        return self._ask("worker", stage, str(root), dies_in, moment)

    def start_stage(self, stage: str, root: Path, dies_in: str = "-") -> int:
        """Starts the stage itself; its process id."""
        return self._ask("stage", stage, str(root), dies_in, "take")

    def _ask(self, *words: str) -> int:
        assert self._process.stdin
        print("\t".join(words), file=self._process.stdin, flush=True)
        return int(self._read())

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


def die_in(phase: str, moment: str) -> None:
    """Kills this process when it comes to the moment of that phase."""
    from pipeline.sharing.part_folder import PartFolder

    whole, looks = getattr(PartFolder, moment), count(1)

    def dying(folder: PartFolder, *arguments: Any) -> Any:
        if folder._work.phase == phase and next(looks) >= (2 if moment == "take" else 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(folder, *arguments)

    setattr(PartFolder, moment, dying)


def main() -> None:
    """Serves until stdin ends."""
    from pipeline import __main__ as stages
    from pipeline import worker
    from pipeline.contract.run.run_dir import RunDir
    from pipeline.evaluation.benchmarks import answer_parts

    for name in (*HELPING, "stages.factors", "stages.scores", "requirements", "memory"):
        importlib.import_module(f"pipeline.{name}")  # once, before the forks
    answer_parts.PART = 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)
    for line in sys.stdin:
        kind, stage, root, phase, moment = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)  # what it prints is no answer
            if phase != "-":
                die_in(phase, moment)
            code = (stages if kind == "stage" else worker).main(stage, RunDir(Path(root)))
            os._exit(code)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
