"""A stage's one bar: over all of its parts, and forwards only."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.run.events import EventReader, EventWriter, Progress
from pipeline.contract.run.span import Span

PARTS = {"covariance": 3.0, "decomposition": 1.0, "lambda": 4.0}


def test_parts_are_as_long_as_they_are_much_work() -> None:
    span = Span(PARTS)
    shares = []
    for part, done in [("covariance", 0), ("covariance", 10), ("decomposition", 5), ("lambda", 10)]:
        span.reach(part, done, 10, now=0.0)
        shares.append(span.share)
    assert shares == pytest.approx([0.0, 3 / 8, 3.5 / 8, 1.0])


def test_a_part_that_starts_again_holds_the_bar_where_it_was() -> None:
    span = Span(PARTS)
    for done in (0, 8, 0, 4):
        span.reach("covariance", done, 10, now=0.0)
    assert span.share == pytest.approx(0.8 * 3 / 8)


def test_a_stage_of_one_part_needs_no_plan() -> None:
    span = Span()
    span.reach("training", 5, 20, now=0.0)
    assert span.share == 0.25


def test_what_is_not_counted_moves_nothing() -> None:
    span = Span(PARTS)
    span.reach("lambda", 3, 0, now=0.0)
    span.reach("loading the model", 1, 1, now=1.0)
    assert span.share == 0.0
    assert span.left(2.0) is None


def test_the_time_left_is_reckoned_from_the_work_of_this_attempt() -> None:
    span = Span(PARTS)
    span.reach("covariance", 10, 10, now=0.0)  # done by an earlier attempt, in no time
    assert span.left(0.0) is None
    span.reach("decomposition", 0, 10, now=0.0)
    span.reach("decomposition", 10, 10, now=5.0)
    assert span.left(5.0) == pytest.approx(5.0 / (1 / 8) * (4 / 8))


def test_events_tell_the_phase_and_how_far_the_stage_is(tmp_path: Path) -> None:
    events = EventWriter(tmp_path / "events.jsonl", "factors")
    events.doing("loading the model")
    events.plan(PARTS)
    events.progress(10, 10, "examples", "covariance")
    events.progress(10, 10, "examples", "lambda")
    told = [e for e in EventReader(tmp_path / "events.jsonl").read() if isinstance(e, Progress)]
    assert [(e.phase, e.total, e.share) for e in told] == [
        ("loading the model", 0, 0.0),
        ("covariance", 10, 0.375),
        ("lambda", 10, 1.0),
    ]
