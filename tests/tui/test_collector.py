"""All objects are looked through for garbage while nobody presses a key, and not in between."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.app import HeadwaterApp
from tui.collector import Collector


class Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    one.begin()
    yield one
    one.end()


def old_garbage() -> weakref.ref[Node]:
    """A cycle that has outlived the younger generations and that nobody can reach any more."""
    node = Node()
    gc.collect()
    for _ in range(20):
        gc.collect(1)
    return weakref.ref(node)


def test_garbage_goes_when_nobody_presses_a_key(collector: Collector) -> None:
    garbage = old_garbage()
    collector.rest()
    assert garbage() is None


def test_it_stays_just_after_a_key(collector: Collector) -> None:
    garbage = old_garbage()
    collector.key_came()
    collector.rest()
    assert garbage() is not None


def test_nothing_is_looked_through_where_little_has_happened(collector: Collector) -> None:
    gc.collect()
    before = gc.get_stats()[2]["collections"]
    collector.rest()
    assert gc.get_stats()[2]["collections"] == before


async def test_many_objects_made_while_the_dashboard_is_open_are_not_looked_through(
    tmp_path: Path,
) -> None:
    usual = gc.get_threshold()
    async with HeadwaterApp(tmp_path).run_test() as pilot:
        await pilot.press("j")
        before = gc.get_stats()[2]["collections"]
        kept = [[number] for number in range(500_000)]
        assert gc.get_stats()[2]["collections"] == before
        del kept
    assert gc.get_threshold() == usual
