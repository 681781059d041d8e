"""Has a question answered by a process of its own: it needs the libraries that no screen loads."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import HeadwaterError


def answered(module: str, request: dict[str, Any], what: str) -> dict[str, Any]:
    """Runs `python -m MODULE REQUEST` and waits for the JSON object that it prints.

    Raises:
        HeadwaterError: what the request is about is wrong, or not there; or `what`, such as "the
            plan", could not be made.
    """
    done = subprocess.run(
        python_command("-m", module, json.dumps(request)),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HeadwaterError(f"{what} could not be made: {last}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" not in answer:
        return answer
    error = HeadwaterError(answer["error"], answer["hint"])
    error.exit_code = answer["exit_code"]
    raise error
