"""Has a question answered by a process of its own: it needs the libraries that no screen loads."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import HeadwaterError


def answered(module: str, failed: str, *arguments: str, text: str = "") -> dict[str, Any]:
    """Runs `python -m MODULE ARGUMENTS`, `text` on stdin, and waits for the JSON object it prints.

    Raises:
        HeadwaterError: what is asked about is wrong, or not there; or `failed`, such as "the plan
            could not be made", and why.
    """
    done = subprocess.run(
        python_command("-m", module, *arguments),
        capture_output=True,
        input=text.encode(),
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise HeadwaterError(f"{failed}: {said[-1] if said else 'it said nothing'}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" not in answer:
        return answer
    error = HeadwaterError(answer["error"], answer["hint"])
    error.exit_code = answer["exit_code"]
    raise error
