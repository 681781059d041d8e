"""What a worker of a stage is at, in words."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.contract.run.leases import BEAT_S
from pipeline.contract.units import duration
from tui.readers.workers import SeenWorker


def part_told(worker: SeenWorker) -> str:
    """Which part it does."""
    state = worker.state
    return f"{state.phase} {state.part} of {state.parts}" if state.part else "waits"


def spent_told(worker: SeenWorker) -> str:
    """How long it has been at its part; empty where it is at none."""
    if not worker.state.part:
        return ""
    return duration(worker.state.part_seconds) + (", slow" if worker.slow else "")


def rate_told(worker: SeenWorker) -> str:
    """How much it does a second; empty before it has done a part."""
    return f"{worker.state.rate:,.1f} {worker.state.unit}/s" if worker.state.rate else ""


def heard_told(worker: SeenWorker) -> str:
    """When it gave a sign of life."""
    if worker.gone:
        return "is gone"
    if worker.heard <= 3 * BEAT_S:
        return "now"
    return f"{duration(worker.heard)} ago" + (", lost?" if worker.lost else "")


def worker_told(worker: SeenWorker) -> str:
    """Where it is, at which part of the phase that is told elsewhere, when it was heard of, and how
    quick it is."""
    state, heard = worker.state, heard_told(worker)
    at = f"part {state.part} of {state.parts} for {spent_told(worker)}" if state.part else "waits"
    parts = [
        f"{state.process.host} {state.process.pid}, {state.device}",
        at,
        "" if heard == "now" else heard if worker.gone else f"heard {heard}",
        "" if worker.lost else rate_told(worker),
    ]
    return " · ".join(filter(None, parts))


def workers_told(workers: Sequence[SeenWorker]) -> str:
    """How many there are, what they do together, and who holds the others up."""
    living = [worker for worker in workers if not worker.lost]
    rate = sum(worker.state.rate for worker in living)
    slow = sum(worker.slow for worker in living)
    lost = len(workers) - len(living)
    parts = [
        f"{len(workers)}",
        f"{rate:,.1f} {workers[0].state.unit}/s together" if rate else "",
        f"{slow} slow" if slow else "",
        f"{lost} lost" if lost else "",
    ]
    return ", ".join(filter(None, parts))
