"""Attempts: what millions of events say of the stages, in the memory of a few."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.contract.results.learning_curves import LOSS
from pipeline.contract.run.attempts import Attempt, read_attempts
from pipeline.contract.run.events import EventReader, EventWriter, Failed, Metric, Started
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.status import run_status
from pipeline.contract.settings.profiles import profile
from pipeline.report.facts import gather
from tests.tui import sample_run
from tui.printed.narration import from_now

SETTINGS = profile("demo")


def long_run(folder: Path, count: int) -> RunDir:
    """A training that has told its loss so many times and then failed."""
    run = sample_run.new_run(folder)
    events = EventWriter(run.events, "train")
    events.started(1)
    events.warning("hot")
    line = {"type": "metric", "stage": "train", "time": 2.5, "name": "loss", "value": 2.25}
    with run.events.open("a") as file:
        file.writelines(json.dumps({**line, "step": step}) + "\n" for step in range(count))
    events.memory(7 << 20)
    events.failed("no luck")
    events.close()
    return run


@pytest.mark.parametrize(
    "read",
    [
        lambda run: run_status(run, SETTINGS),
        lambda run: gather(SETTINGS, run),
        from_now,
    ],
    ids=["status", "report", "follow"],
)
def test_nobody_reads_a_long_past_whole(tmp_path: Path, read: Callable[[RunDir], object]) -> None:
    run = long_run(tmp_path, 60_000)
    read(long_run(tmp_path / "short", 1))  # what is imported on first use does not count
    tracemalloc.start()
    read(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < run.events.stat().st_size


def test_the_last_attempt_is_told_from_what_matters(tmp_path: Path) -> None:
    run = long_run(tmp_path, 10)
    EventWriter(run.events, "factors").started(1)
    attempts = read_attempts(run)
    train = attempts["train"]
    assert train.started
    assert [warned.message for warned in train.warnings] == ["hot"]
    assert (train.most_rss, isinstance(train.ending, Failed)) == (7 << 20, True)
    assert not attempts["factors"].is_empty
    EventWriter(run.events, "train").started(2)
    assert read_attempts(run)["train"].ending is None


def test_an_attempt_that_began_later_has_nothing_of_the_one_before(tmp_path: Path) -> None:
    attempt = read_attempts(long_run(tmp_path, 1))["train"]
    assert attempt.ending
    assert attempt.since(attempt.ending.time + 1) == Attempt()
    assert attempt.since(0.0).ending == attempt.ending


def test_a_reader_of_some_kinds_passes_over_the_others(tmp_path: Path) -> None:
    run = long_run(tmp_path, 3)
    [started] = EventReader(run.events, (Started,)).read()
    assert isinstance(started, Started)
    assert [event.step for event in readings(run)] == [0, 1, 2]


def readings(run: RunDir) -> list[Metric]:
    found = EventReader(run.events, (Metric,)).stream()
    return [event for event in found if isinstance(event, Metric)]


def test_what_is_skipped_ends_with_a_whole_line(tmp_path: Path) -> None:
    run = long_run(tmp_path, 5)
    with run.events.open("a") as file:
        file.write('{"type": "metric", "stage": "train", "time": 2.5, ')
    reader = EventReader(run.events)
    reader.skip()
    assert reader.read() == []
    with run.events.open("a") as file:
        file.write('"name": "loss", "value": 1.0, "step": 9}\n')
    [event] = reader.read()
    assert isinstance(event, Metric)
    assert (event.name, event.step) == (LOSS, 9)
