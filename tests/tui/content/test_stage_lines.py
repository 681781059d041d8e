"""What is told of a stage: time that has passed is told apart from time that is to come."""

from __future__ import annotations

import pytest

from pipeline.contract.run.status import StageStatus
from tui.content.stage_lines import stage_lines


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (StageStatus("prepare", "running", seconds=6.3), "so far          6.3 s"),
        (StageStatus("prepare", "done", seconds=6.3), "took            6.3 s"),
        (StageStatus("prepare", "waiting"), "takes           not known before it has run here"),
    ],
)
def test_time(stage: StageStatus, told: str) -> None:
    lines = stage_lines(stage, (stage,), None, (), {}, 80)
    assert told in ["".join(text for text, _ in line) for line in lines]
