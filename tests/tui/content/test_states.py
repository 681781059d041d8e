"""What is said of a run's stages is true at every moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.contract.run.status import StageStatus, State
from tui.content.states import no_loss, phase_told, standing
from tui.readers.run_reader import RunSnapshot

RUNNING = StageStatus("factors", "running", phase="covariance", unit="examples")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("waiting", "no loss yet: the train stage has not begun"),
        ("queued", "no loss yet: the train stage has not begun"),
        ("running", "no loss yet; the train stage is at work: rehearsal"),
        ("stopping", "no loss yet; the train stage is at work: rehearsal"),
        ("failed", "no loss: the train stage ended before it had reported one"),
        ("cancelled", "no loss: the train stage ended before it had reported one"),
        ("done", "no loss: the train stage has trained nothing here"),
    ],
)
def test_where_there_is_no_loss_it_is_told_why(state: State, told: str) -> None:
    assert no_loss(RunSnapshot("run", (StageStatus("train", state, phase="rehearsal"),))) == told


def test_a_run_that_is_still_read_is_not_said_to_have_no_loss() -> None:
    train = StageStatus("train", "done")
    for unread in (None, RunSnapshot("run"), RunSnapshot("run", (train,), read_share=0.4)):
        assert no_loss(unread) == "reading the run …"


@pytest.mark.parametrize(
    ("done", "total", "told"),
    [
        (None, None, "covariance"),
        (0, 0, "covariance"),
        (1234, 0, "covariance · 1,234 examples"),
        (0, 1425, "covariance · 0 of 1,425 examples"),
        (512, 1425, "covariance · 512 of 1,425 examples"),
    ],
)
def test_nothing_is_counted_where_nothing_is_known(
    done: float | None, total: float | None, told: str
) -> None:
    stage = replace(RUNNING, done=done, total=total)
    assert phase_told(stage) == told
    snapshot = RunSnapshot("run", (stage,))
    assert standing(snapshot) == (f"● factors running · {told}", "accent")
