"""Status: what a list of runs says of each."""

from __future__ import annotations

import pytest

from pipeline.contract.run.status import StageStatus, State, headline_stage


@pytest.mark.parametrize(
    ("states", "headline"),
    [
        ({"prepare": "waiting", "train": "waiting"}, "prepare"),
        ({"prepare": "done", "train": "stale", "factors": "waiting"}, "train"),
        ({"prepare": "done", "train": "failed", "factors": "done"}, "train"),
        ({"inspect": "failed", "report": "running"}, "report"),
        ({"train": "cancelled", "inspect": "lost"}, "train"),
    ],
)
def test_what_works_now_says_more_of_a_run_than_what_failed_before(
    states: dict[str, State], headline: str
) -> None:
    chosen = headline_stage([StageStatus(stage, state) for stage, state in states.items()])
    assert chosen is not None
    assert chosen.stage == headline


def test_a_run_that_cannot_be_read_has_no_stage_to_tell_of() -> None:
    assert headline_stage([]) is None
