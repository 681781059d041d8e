"""Has a question answered by a process of its own: it needs the libraries that no screen loads."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import HeadwaterError, error_of

_PROGRESS = b'{"progress"'


class Request:
    """A process that answers one question: `python -m MODULE ARGUMENTS`."""

    def __init__(self, module: str, failed: str, *arguments: str) -> None:
        """`failed`: what is said where it fails, such as "the plan could not be made"."""
        self._failed = failed
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the answer)
        self._process = subprocess.Popen(
            python_command("-m", module, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child_environment(),
        )

    def answer(
        self, text: str = "", heard: Callable[[int], object] = lambda done: None
    ) -> dict[str, Any]:
        """Hands `text` over on stdin, and waits for the JSON object that it prints last; `heard`
        gets what the others say of its progress.

        Raises:
            HeadwaterError: what is asked about is wrong, or not there; or `failed`, and why.
        """
        last = b""
        with self._errors, self._process as process:
            assert process.stdin
            assert process.stdout
            with suppress(BrokenPipeError):  # it failed before it read anything: it says why
                process.stdin.write(text.encode())
                process.stdin.close()
            for last in process.stdout:
                if last.startswith(_PROGRESS):
                    heard(json.loads(last)["progress"])
            if process.wait():
                raise HeadwaterError(f"{self._failed}: {self._complaint()}")
        answer: dict[str, Any] = json.loads(last)
        if "error" not in answer:
            return answer
        raise error_of(answer)

    def stop(self) -> None:
        """Ends it; nobody waits for the answer any more."""
        self._process.terminate()

    def _complaint(self) -> str:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "it said nothing"


def answered(module: str, failed: str, *arguments: str, text: str = "") -> dict[str, Any]:
    """The answer of a process that nobody stops; see `Request`."""
    return Request(module, failed, *arguments).answer(text)
