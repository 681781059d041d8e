"""A training's summary of any format, and its curves without what a later attempt superseded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.files import read_json, write_json
from pipeline.contract.results.learning_curves import LOSS, STAGE, learning_curves
from pipeline.contract.results.training import (
    TrainingSummary,
    load_training,
    read_training,
    write_training,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventReader, EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from tui.readers.history import RunHistory

OLD = Path(__file__).parent / "old" / "training_1.json"
SUMMARY = TrainingSummary(
    parameters=830_000,
    steps=70,
    epochs=2.0,
    tokens=99_000,
    tokens_per_second=None,
    train_loss=0.71,
    validation_loss=None,
    perplexity=None,
    base_validation_loss=None,
    base_perplexity=None,
    unigram_loss=None,
    stopped_early="the loss was no longer a number at step 71",
    seconds=22.0,
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose training has finished."""
    run = RunDir(tmp_path / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    settings = load_settings(run.settings)
    fingerprint = freshness.begin(STAGE, settings, run)
    freshness.finish(STAGE, fingerprint, settings, run, 1.0)
    return run


def test_a_summary_comes_back_as_it_was_written(run: RunDir) -> None:
    write_training(run, SUMMARY)
    assert load_training(run).value == SUMMARY


def test_a_summary_of_the_first_format_is_read_with_its_unigram_loss(run: RunDir) -> None:
    done = read_json(run.done(STAGE))
    del done["format"]
    write_json(run.done(STAGE), done)
    write_json(run.summary(STAGE), old := read_json(OLD))
    summary = read_training(run)
    assert (summary.unigram_loss, summary.steps) == (4.8137, 380)
    del old["frequency_loss"]
    write_json(run.summary(STAGE), old)
    assert read_training(run).unigram_loss is None


def test_the_first_format_under_the_number_of_now_is_damaged(run: RunDir) -> None:
    write_json(run.summary(STAGE), json.loads(OLD.read_text()))
    with pytest.raises(DamagedResultError, match="unigram_loss"):
        read_training(run)


def test_a_resumed_training_takes_the_place_of_the_steps_that_it_repeats(run: RunDir) -> None:
    events = EventWriter(run.events, STAGE)
    for attempt, steps in enumerate((range(1, 41), range(31, 51)), start=1):
        events.started(attempt)
        for step in steps:
            events.metric(LOSS, attempt + step / 100, step)
    ((told, values),) = learning_curves(EventReader(run.events).read(), (LOSS,)).values()
    assert list(told) == list(range(1, 51))
    assert [int(value) for value in values] == 30 * [1] + 20 * [2]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=4))
def test_the_report_and_the_dashboard_draw_the_same_curve(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[int, int]]
) -> None:
    run = RunDir(tmp_path_factory.mktemp("run"))
    events = EventWriter(run.events, STAGE)
    for number, (first, count) in enumerate(attempts, start=1):
        events.started(number)
        for step in range(first, first + count):
            events.metric(LOSS, number + step / 100, step)
    history = RunHistory(run)
    history.update()
    shown = history.curve(STAGE, LOSS)
    steps, values = learning_curves(EventReader(run.events).read(), (LOSS,))[LOSS]
    assert (list(shown.steps), list(shown.values)) == (list(steps), list(values))
