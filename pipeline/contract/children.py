"""How Python processes are started: none imports from the folder that it happens to be started in.

`python -m NAME` looks for modules in the current folder first. There may be anyone's `pipeline`
or `torch.py`, and it would run in place of the installed one. What a person names in PYTHONPATH
still counts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

STAGES, ASKING, WORKING = "pipeline", "pipeline.ask.worker", "pipeline.worker"
"""The modules that run a stage, that answer new prompts, and that help a stage."""
_SAFE_PATH = "PYTHONSAFEPATH"
"""The same as -P, for the processes that libraries in the child start."""


def python_command(*arguments: str) -> list[str]:
    """The command line of a Python process with these arguments."""
    return [sys.executable, "-P", *arguments]


def stage_command(stage: str, root: str) -> list[str]:
    """The command line of a stage's process, in the run of a folder."""
    return python_command("-m", STAGES, stage, root)


def worker_command(stage: str, root: str) -> list[str]:
    """The command line of a process that helps a stage of the run of a folder."""
    return python_command("-m", WORKING, stage, root)


def work_of(command: Sequence[str]) -> tuple[str, str] | None:
    """Which run's folder a process works in, and at which stage or, for the worker that answers
    new prompts, at "ask"; None where its command line is that of neither."""
    match [*command][-4:]:
        case ["-m", module, stage, root] if module in (STAGES, WORKING):
            return root, stage
        case [*_, "-m", module, root] if module == ASKING:
            return root, "ask"
    return None


def child_environment(**variables: str) -> dict[str, str]:
    """The environment of a Python process: this one's, with `variables`."""
    return {**os.environ, _SAFE_PATH: "1", **variables}
