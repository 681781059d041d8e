"""Curves keep what a person must see: the first, the last, the extremes, the gaps."""

from __future__ import annotations

import math
import random

from tui.readers.curve import Curve


def curve_of(values: list[float]) -> Curve:
    curve = Curve()
    for step, value in enumerate(values):
        curve.append(step, value)
    return curve


def test_buckets_keep_first_last_and_spikes() -> None:
    values = [1.0] * 1000
    values[0], values[437], values[-1] = 5.0, 9.0, 3.0
    buckets = curve_of(values).buckets(10, 0, 999)
    filled = [bucket for bucket in buckets if bucket]
    assert len(filled) == len(buckets)
    assert (filled[0].first, filled[-1].last) == (5.0, 3.0)
    assert max(bucket.high for bucket in filled) == 9.0


def test_every_reading_falls_into_exactly_one_bucket() -> None:
    curve = curve_of([float(n) for n in range(100)])
    buckets = [bucket for bucket in curve.buckets(7, 0, 99) if bucket]
    assert [b.low for b in buckets[1:]] == [b.high + 1 for b in buckets[:-1]]
    assert (buckets[0].low, buckets[-1].high) == (0, 99)


def test_readings_that_are_no_numbers_are_kept_as_gaps() -> None:
    curve = curve_of([2.0, math.nan, math.inf, 1.0])
    assert list(curve.gaps) == [1, 2]
    assert list(curve.values) == [2.0, 1.0]
    assert curve.span == (0, 3)


def test_a_resumed_training_replaces_the_steps_it_repeats() -> None:
    curve = curve_of([5.0, 4.0, 3.0, math.nan])
    curve.append(2, 2.5)
    assert list(curve.steps) == [0, 1, 2]
    assert list(curve.values) == [5.0, 4.0, 2.5]
    assert not curve.gaps


def test_an_empty_curve_has_no_span() -> None:
    assert Curve().span is None
    assert Curve().last is None


def test_a_long_curve_is_gathered_as_exactly_as_a_short_one() -> None:
    chance = random.Random(0)
    values = [chance.gauss(0, 1) for _ in range(5_000)]
    curve = curve_of(values)
    for step in (4_321, 700):
        curve.append(step, 50.0)
        del values[step:]
        values.append(50.0)
        for columns, first, last in ((3, 0, step), (7, 100, step - 50), (1, 0, step)):
            found = [bucket for bucket in curve.buckets(columns, first, last) if bucket]
            begin = (
                0 if first == 0 else next(n for n, v in enumerate(values) if v == found[0].first)
            )
            end = max(n for n, v in enumerate(values) if v == found[-1].last) + 1
            assert min(b.low for b in found) == min(values[begin:end])
            assert max(b.high for b in found) == max(values[begin:end])


def test_the_nearest_reading_may_be_a_gap() -> None:
    curve = curve_of([5.0, 4.0, math.nan, 2.0])
    assert curve.nearest(0.4) == (0, 5.0)
    assert curve.nearest(99) == (3, 2.0)
    step, value = curve.nearest(2.1) or (0, 0)
    assert step == 2
    assert math.isnan(value)
    assert Curve().nearest(0) is None
