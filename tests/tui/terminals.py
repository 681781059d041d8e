"""The dashboard under a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence

PATIENCE_S = 60


class Terminal:
    """The dashboard in a terminal of its own, which controls its session or does not."""

    def __init__(
        self,
        *arguments: str,
        controlling: bool = True,
        program: Sequence[str] = (sys.executable, "-m", "tui"),
        **variables: str,
    ) -> None:
        self.master, slave = pty.openpty()
        self.resize(80, 24)
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **variables}
        environment.pop("LC_ALL", None)
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None,
        )
        os.close(slave)
        self.raw = b""

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, seconds: float) -> str:
        """All that was written so far, without escape sequences."""
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.raw += os.read(self.master, 1 << 16)
            except OSError:  # the other end is closed
                time.sleep(0.05)
        return re.sub(
            r"\x1b(\[[0-9;?<>=$]*[ -/]*[@-~]|[=>])", "", self.raw.decode("utf-8", "replace")
        )

    def until(self, text: str, forget: bool = True) -> None:
        """Waits for a text; what came before it is then forgotten."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.read(0.2):
            assert time.monotonic() < deadline, f"no {text!r} in {self.read(0)[-2000:]!r}"
            assert self.process.poll() is None, self.read(0)[-2000:]
        if forget:
            self.raw = b""

    def press(self, keys: str) -> None:
        self.write(keys.encode())

    def write(self, data: bytes) -> None:
        """Keys as a terminal sends them, whatever they are."""
        os.write(self.master, data)

    def ended(self) -> int:
        """Waits for the end; gives the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.1)
        assert self.process.poll() is not None
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
