"""The process in which a model's code runs: `python -I -S -B confined.py`, the code on stdin.

An audit hook, which cannot be taken out again, refuses what would change anything outside: written
or removed files, other processes, signals, connections, foreign functions. It holds for every user,
root too, whom limits on processes do not bind. It imports nothing of the project.
"""

import os
import sys

PASSED = 77
"""Exit status of code that came to its end: one that leaves early by itself has another."""

_CHANGES = ("ctypes.", "fcntl.", "os.", "pty.", "shutil.", "signal.", "socket.", "sqlite3.",
            "subprocess.")  # fmt: skip
_LOOKS = ("os.fwalk", "os.getxattr", "os.listdir", "os.listxattr", "os.scandir", "os.walk")
"""Of these, what changes nothing; imports need it."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    if writes or (event.startswith(_CHANGES) and event not in _LOOKS):
        raise PermissionError(f"not here: {event}")


if __name__ == "__main__":
    code = sys.stdin.read()
    sys.addaudithook(_refuse)
    exec(code, {})
    os._exit(PASSED)
