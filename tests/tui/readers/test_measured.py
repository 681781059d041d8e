"""A metric by tokens and by time."""

from __future__ import annotations

import math
from pathlib import Path

from pipeline.contract.run.events import EventWriter
from tests.tui import sample_run
from tui.readers.curve import Curve
from tui.readers.measured import Measured, measured
from tui.readers.run_reader import RunReader
from tui.readers.window import STEPS, TIME, TOKENS


def curve_of(values: dict[int, float]) -> Curve:
    curve = Curve()
    for step, value in values.items():
        curve.append(step, value)
    return curve


def test_buckets_and_readings_lie_where_the_count_says() -> None:
    tokens = curve_of({step: 100.0 * step**2 for step in range(11)})
    loss = curve_of({step: 5.0 - step / 10 for step in range(11)})
    by_tokens = Measured(loss, tokens)
    assert list(by_tokens.span or ()) == [0, 10_000]
    buckets = by_tokens.buckets(3, 0, 10_000)  # they part at 2,500 and at 7,500 tokens
    assert [bucket and (bucket.first, bucket.last) for bucket in buckets] == [
        (5.0, 4.6),  # steps 0 to 4
        (4.5, 4.2),  # 5 to 8
        (4.1, 4.0),
    ]
    assert by_tokens.nearest(2_400) == (2_500, 4.5)
    assert by_tokens.nearest(99_999) == (10_000, 4.0)
    assert by_tokens.last == 4.0


def test_a_reading_between_two_counts_has_that_of_the_step_before() -> None:
    tokens, validation = curve_of({0: 0.0, 10: 500.0}), curve_of({7: 2.0, 10: math.nan})
    by_tokens = Measured(validation, tokens)
    assert by_tokens.nearest(0) == (0.0, 2.0)
    assert by_tokens.gaps == [500.0]


def test_a_run_tells_its_tokens_and_times(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    for step, (age, tokens) in enumerate(((60, 0), (40, 512), (10, 1024))):
        with sample_run.seconds_ago(age):
            events = EventWriter(run.events, "train")
            events.metric("loss", 3.0 - step, step)
            events.metric("tokens", tokens, step)
    found = RunReader(run).read()
    loss = ("train", "loss")
    assert measured(found, loss, STEPS) is found.metrics[loss]
    by_tokens, by_time = measured(found, loss, TOKENS), measured(found, loss, TIME)
    assert by_tokens
    assert list(by_tokens.span or ()) == [0, 1024]
    assert by_time
    first, last = by_time.span or (0, 0)
    assert (first, round(last / 10)) == (0, 5)
    assert measured(found, ("train", "other"), TIME) is None


def test_what_a_run_of_old_does_not_tell_is_not_made_up(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    sample_run.train_events(run)
    assert measured(RunReader(run).read(), ("train", "loss"), TOKENS) is None


def test_a_clock_that_was_put_back_never_makes_time_run_backwards(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    for step, age in enumerate((60, 3600, 30)):
        with sample_run.seconds_ago(age):
            EventWriter(run.events, "train").metric("loss", 3.0, step)
    clock = RunReader(run).read().clocks["train"]
    assert list(clock.values) == sorted(clock.values)
