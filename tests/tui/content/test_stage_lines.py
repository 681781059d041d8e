"""What is told of a stage: time that has passed is told apart from time that is to come."""

from __future__ import annotations

import pytest

from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.status import StageStatus
from pipeline.contract.run.workers import WorkerState
from tui.content.stage_lines import stage_lines
from tui.readers.workers import SeenWorker


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (StageStatus("prepare", "running", seconds=6.3), "so far          6.3 s"),
        (StageStatus("prepare", "done", seconds=6.3), "took            6.3 s"),
        (StageStatus("prepare", "waiting"), "takes           not known before it has run here"),
    ],
)
def test_time(stage: StageStatus, told: str) -> None:
    lines = stage_lines(stage, (stage,), None, (), (), {}, 80)
    assert told in ["".join(text for text, _ in line) for line in lines]


def worker(pid: int, spent: float, heard: float = 0.0, slow: bool = False) -> SeenWorker:
    process = ProcessIdentity(pid, 1, "boot", 1, "zeus")
    state = WorkerState(process, "cuda:0", "removal", 3, 12, spent, rate=20.0, usual_seconds=40.0)
    return SeenWorker("validate", state, heard, gone=False, slow=slow)


def test_each_worker_is_a_line_and_who_holds_the_others_up_is_told() -> None:
    stage = StageStatus("prepare", "running", seconds=90.0, phase="removal")
    workers = (worker(7, 41.0), worker(8, 95.0, slow=True), worker(9, 41.0, heard=600.0))
    lines = stage_lines(stage, (stage,), None, (), workers, {}, 80)
    told = {"".join(text for text, _ in line).strip(): line[-1][1] for line in lines}
    assert told["workers         3, 40.0 examples/s together, 1 slow, 1 lost"] == "plain"
    assert list(told.values())[1:4] == ["bad", "warn", "plain"], "first who holds the others up"
    inks = {text.split(",")[0]: ink for text, ink in told.items() if text.startswith("zeus")}
    assert inks == {"zeus 7": "plain", "zeus 8": "warn", "zeus 9": "bad"}
    assert any("part 3 of 12 for 1 min 35 s, slow" in text for text in told)
    assert stage_lines(stage, (stage,), None, (), workers[:1], {}, 80) == stage_lines(
        stage, (stage,), None, (), (), {}, 80
    )
