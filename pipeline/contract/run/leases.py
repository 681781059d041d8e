"""Leases: which of several processes, on one machine or many, works on which part.

A lease is a file that its holder has created, alone, and whose counter a thread of the holder
raises every few seconds. There is no lock to ask the filesystem for: NFS and Lustre may have none.
A lease is stale when it has not changed for a while by the clock of the process that looks at it,
so the clocks of the machines need not agree; or at once, when its holder was a process of this
machine that is gone.

Leases save work and keep nothing from being done twice: a holder that was suspended for long finds
that another has begun its part. Results therefore have to appear whole, and to be the same whoever
computes them.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from pipeline.contract.files import NO_FILE, open_regular
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.typed import require_types

BEAT_S = 5.0
"""Seconds between two signs of life."""
STALE_S = 45.0
"""Seconds without a sign of life after which a part is given to another: longer than a network
filesystem keeps an old state of a file, which NFS does for up to 30 s."""


class Lease:
    """A part that this process holds, until the context ends."""

    def __init__(self, path: Path, descriptor: int, holder: ProcessIdentity, beat_s: float) -> None:
        self._path, self._descriptor, self._beat_s = path, descriptor, beat_s
        self._content = {"holder": asdict(holder), "lease": secrets.token_hex(8)}
        self._over = threading.Event()
        self._beat(0)
        self._thread = threading.Thread(target=self._keep, name=f"lease {path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Ends the lease, and removes its file if no other process has taken it over."""
        self._over.set()
        self._thread.join()
        try:
            with suppress(OSError):
                if os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                    self._path.unlink()
        finally:
            os.close(self._descriptor)

    def _keep(self) -> None:
        beats = 0
        while not self._over.wait(self._beat_s):
            beats += 1
            # a full disk or a broken mount costs the lease, not the part
            with suppress(OSError):
                self._beat(beats)

    def _beat(self, beats: int) -> None:
        """Writes into the file that was created, not to its name, which may be another's by now."""
        text = json.dumps({**self._content, "beats": beats})
        os.pwrite(self._descriptor, text.encode(), 0)
        os.fsync(self._descriptor)  # so that other machines see it


class Leases:
    """The leases of a folder, as one process sees and takes them."""

    def __init__(
        self,
        folder: Path,
        holder: ProcessIdentity,
        beat_s: float = BEAT_S,
        stale_s: float = STALE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: seconds, of which only differences count."""
        self._folder, self._holder = folder, holder
        self._beat_s, self._stale_s, self._clock = beat_s, stale_s, clock
        self._seen: dict[str, tuple[bytes, float]] = {}
        """By part: the content of its lease, and since when it has been so."""

    def take(self, part: str) -> Lease | None:
        """Takes a part that nobody holds, or whose holder is gone; None where one is at work.

        Raises:
            OSError: the folder cannot be written, or is gone.
        """
        path = self._folder / f"{part}.lease"
        if (content := _content(path)) is not None:
            if not self._is_stale(part, content):
                return None
            _remove(path)
        self._seen.pop(part, None)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            return None
        return Lease(path, descriptor, self._holder, self._beat_s)

    def _is_stale(self, part: str, content: bytes) -> bool:
        if _is_of_dead(content):
            return True
        now = self._clock()
        if part not in self._seen or self._seen[part][0] != content:
            self._seen[part] = (content, now)
        return now - self._seen[part][1] > self._stale_s


def _content(path: Path) -> bytes | None:
    """None where there is no lease; empty where no file lies in its place, which says nothing."""
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NO_FILE:
            return b""
        raise


def _is_of_dead(content: bytes) -> bool:
    """Whether a process of this machine holds the lease that is no more."""
    try:
        holder = require_types(ProcessIdentity(**json.loads(content)["holder"]))
    except (KeyError, TypeError, ValueError):  # created just now, or half written
        return False
    return holder.is_here() and not holder.is_alive()


def _remove(path: Path) -> None:
    """Removes a stale lease; of several processes that try, one does."""
    taken = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError, IsADirectoryError):
        path.rename(taken)
        taken.unlink()
