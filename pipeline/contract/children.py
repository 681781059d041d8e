"""How Python processes are started: none imports from the folder that it happens to be started in.

`python -m NAME` looks for modules in the current folder first. There may be anyone's `pipeline`
or `torch.py`, and it would run in place of the installed one. What a person names in PYTHONPATH
still counts.
"""

from __future__ import annotations

import os
import sys

_SAFE_PATH = "PYTHONSAFEPATH"
"""The same as -P, for the processes that libraries in the child start."""


def python_command(*arguments: str) -> list[str]:
    """The command line of a Python process with these arguments."""
    return [sys.executable, "-P", *arguments]


def child_environment(**variables: str) -> dict[str, str]:
    """The environment of a Python process: this one's, with `variables`."""
    return {**os.environ, _SAFE_PATH: "1", **variables}
