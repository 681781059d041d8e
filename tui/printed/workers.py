"""The workers of a run as a table: one line a worker."""

from __future__ import annotations

from dataclasses import asdict

from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import read_workers
from tui.content.worker_text import heard_told, part_told, rate_told, spent_told
from tui.printed.tables import Row, plain
from tui.readers.workers import SeenWorker, seen_workers


def workers_text(run: RunDir) -> str:
    """The table; empty where nobody shares any work."""
    rows = [_row(worker) for worker in seen_workers(run)]
    return plain(rows) if rows else ""


def worker_records(run: RunDir) -> list[dict[str, object]]:
    """The workers for JSON."""
    return [
        {"stage": stage, **asdict(state), "heard": round(heard, 1)}
        for stage, state, heard in read_workers(run)
    ]


def _row(worker: SeenWorker) -> Row:
    state = worker.state
    return {
        "worker": f"{state.process.host} {state.process.pid}",
        "device": state.device,
        "stage": worker.stage,
        "part": part_told(worker),
        "for": spent_told(worker),
        "done": state.parts_done,
        "rate": rate_told(worker),
        "heard": heard_told(worker),
    }
