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
    """One line: where it is, what it is at, how quickly, and when it was heard of."""
    process, heard = worker.state.process, heard_told(worker)
    parts = [
        f"{process.host} {process.pid}, {worker.state.device}",
        " for ".join(filter(None, [part_told(worker), spent_told(worker)])),
        rate_told(worker),
        "" if heard == "now" else heard if worker.gone else f"heard {heard}",
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
