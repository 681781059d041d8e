"""The workers that share a stage, as they were last heard of, and who holds the others up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.contract.run.leases import STALE_S
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import WorkerState, read_workers

_SLOW = 2.0
"""A part takes long when it takes so many times what the slowest worker usually needs for one."""


@dataclass(frozen=True)
class SeenWorker:
    """A worker of a stage."""

    stage: str
    state: WorkerState
    heard: float
    """Seconds since its last sign of life."""
    gone: bool
    """Its process was one of this machine, and is no more."""
    slow: bool
    """It takes long for its part, by what it and others usually need."""

    @property
    def lost(self) -> bool:
        """Whether its part is given to another."""
        return self.gone or self.heard > STALE_S


def seen_workers(run: RunDir) -> Iterator[SeenWorker]:
    """Every worker of every stage at work."""
    found = list(read_workers(run))
    usual: dict[tuple[str, str], float] = defaultdict(float)
    for stage, state, _ in found:
        phase = stage, state.phase
        usual[phase] = max(usual[phase], state.usual_seconds)
    for stage, state, heard in found:
        gone = state.process.is_here() and not state.process.is_alive()
        expected = _SLOW * usual[stage, state.phase]
        slow = bool(state.part) and 0 < expected < state.part_seconds
        yield SeenWorker(stage, state, heard, gone, slow)
