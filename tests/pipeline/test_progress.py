"""Every stage's one bar, by the events of a run through all of them."""

from __future__ import annotations

import pytest

from pipeline.contract.run.events import EventReader, Progress
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES

READ_ELSEWHERE = {"prepare"}
"""`finished_run` is prepared without its stage; see `stages/test_prepare.py`."""


@pytest.mark.parametrize("stage", sorted(set(STAGES) - READ_ELSEWHERE))
def test_the_bar_of_a_stage_goes_once_from_its_start_to_its_end(
    finished_run: RunDir, stage: str
) -> None:
    told = [
        event
        for event in EventReader(finished_run.events, (Progress,)).read()
        if isinstance(event, Progress) and event.stage == stage
    ]
    shares = [event.share for event in told if event.share is not None]
    assert len(shares) == len(told) > 0
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == (1.0 if any(event.total for event in told) else 0.0)
    assert all(event.phase for event in told)


@pytest.mark.parametrize("stage", ["factors", "scores", "benchmark", "generate", "validate"])
def test_every_counted_phase_of_a_stage_has_its_place_on_the_bar(
    finished_run: RunDir, stage: str
) -> None:
    """One that the plan does not name would hold the bar for as long as it takes."""
    last: dict[str, Progress] = {}
    for event in EventReader(finished_run.events, (Progress,)).read():
        if isinstance(event, Progress) and event.stage == stage and event.total:
            last[event.phase] = event
    ends = [event.share for event in last.values()]
    assert len(ends) > 1
    assert len(set(ends)) == len(ends)
