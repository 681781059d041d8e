"""Writes what a worker is at into the run's folder, for `headwater status`."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import TracebackType

from pipeline.contract.files import write_json
from pipeline.contract.run.leases import BEAT_S
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import WorkerState
from pipeline.sharing.work import Part, Work


class Presence:
    """A worker's state file, renewed by a thread, and there as long as the context lasts."""

    def __init__(self, stage: str, run: RunDir, device: str) -> None:
        pid = os.getpid()
        self._folder = run.workers(stage)
        self._path = self._folder / f"{socket.gethostname()}-{pid}.json"
        self._process, self._device = ProcessIdentity.of(pid), device
        self._phase, self._part, self._parts, self._begun = "", 0, 0, time.monotonic()
        self._parts_done, self._unit = 0, "examples"
        self._of_phase, self._amount, self._seconds = 0, 0.0, 0.0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="presence", daemon=True)

    def __enter__(self) -> Presence:
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            self._path.unlink()

    @contextmanager
    def at(self, work: Work, part: Part) -> Iterator[None]:
        """Context in which a part is computed."""
        if self._phase != work.phase:
            self._of_phase, self._amount, self._seconds = 0, 0.0, 0.0
        self._phase, self._unit, self._begun = work.phase, work.unit, time.monotonic()
        self._part, self._parts = work.parts.index(part) + 1, len(work.parts)
        self._write()
        try:
            yield
            self._parts_done += 1
            self._of_phase += 1
            self._amount += work.total / len(work.parts)
            self._seconds += time.monotonic() - self._begun
        finally:
            self._part = 0
            self._write()

    def _keep(self) -> None:
        while not self._over.wait(BEAT_S):
            self._write()

    def _write(self) -> None:
        state = WorkerState(
            process=self._process,
            device=self._device,
            phase=self._phase,
            part=self._part,
            parts=self._parts,
            part_seconds=round(time.monotonic() - self._begun, 1) if self._part else 0.0,
            parts_done=self._parts_done,
            rate=round(self._amount / self._seconds, 2) if self._seconds else 0.0,
            unit=self._unit,
            usual_seconds=round(self._seconds / self._of_phase, 1) if self._of_phase else 0.0,
        )
        # for people: neither a full disk nor a stage that has ended stops the work
        with self._lock, suppress(OSError):
            if self._folder.exists():
                write_json(self._path, asdict(state))
