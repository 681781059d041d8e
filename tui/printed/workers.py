"""The workers of a run as a table: one line a worker."""

from __future__ import annotations

from dataclasses import asdict

from pipeline.contract.run.leases import BEAT_S, STALE_S
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import WorkerState, read_workers
from pipeline.contract.units import duration
from tui.printed.tables import Row, plain


def workers_text(run: RunDir) -> str:
    """The table; empty where nobody shares a pass."""
    rows = [_row(stage, state, heard) for stage, state, heard in read_workers(run)]
    return plain(rows) if rows else ""


def worker_records(run: RunDir) -> list[dict[str, object]]:
    """The workers for JSON."""
    return [
        {"stage": stage, **asdict(state), "heard": round(heard, 1)}
        for stage, state, heard in read_workers(run)
    ]


def _row(stage: str, state: WorkerState, heard: float) -> Row:
    return {
        "worker": f"{state.process.host} {state.process.pid}",
        "device": state.device,
        "stage": stage,
        "part": _part(state),
        "for": duration(state.part_seconds) if state.part else "",
        "done": state.parts_done,
        "examples/s": round(state.rate, 1) if state.rate else None,
        "heard": _heard(state, heard),
    }


def _part(state: WorkerState) -> str:
    return f"{state.phase} {state.part} of {state.parts}" if state.part else "waits"


def _heard(state: WorkerState, seconds: float) -> str:
    if state.process.is_here() and not state.process.is_alive():
        return "is gone"
    if seconds <= 3 * BEAT_S:
        return "now"
    return f"{duration(seconds)} ago" + (", lost?" if seconds > STALE_S else "")
