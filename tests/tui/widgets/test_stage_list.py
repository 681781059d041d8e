"""The line of a stage in the list of stages."""

from __future__ import annotations

import pytest

from pipeline.contract.run.status import StageStatus
from tui.widgets.stage_list import StageList

SMALL, LARGE = 41, 49
"""Cells of a line at 80 and at 120 columns."""


def line(stage: StageStatus, width: int) -> str:
    rows = StageList()
    rows.set_reactive(StageList.stages, (stage,))
    return "".join(text for text, _ in rows.line(0, width))


@pytest.mark.parametrize("width", [SMALL, LARGE])
def test_what_a_running_stage_does_takes_the_room_of_its_state(width: int) -> None:
    stage = StageStatus("train", "running", phase="loading libraries", seconds=10)
    assert (
        line(stage, width) == "● train     loading libraries".ljust(width - 12) + "  0:10" + " " * 6
    )


def test_a_state_and_what_it_does_stand_side_by_side_where_both_have_room() -> None:
    stage = StageStatus("train", "running", phase="rehearsal", seconds=10)
    assert "● train     running   rehearsal" in line(stage, LARGE)


def test_a_stage_that_is_being_stopped_says_so() -> None:
    stage = StageStatus("train", "stopping", phase="loading libraries", seconds=10)
    assert "stopping  loadin…" in line(stage, SMALL)


def test_a_stage_that_counts_shows_a_bar() -> None:
    stage = StageStatus("train", "running", phase="training", share=0.5, seconds=10, eta=10)
    assert "running   ━─  50%  0:10  0:10" in line(stage, SMALL)
