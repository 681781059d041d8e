"""What is told before long work, and that short work begins at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.status import StageStatus
from pipeline.contract.settings.profiles import profile, render_settings
from tests.tui import sample_run
from tui.readers.foreseen import foreseen

TRAIN = StageStatus("train", "waiting")
FACTORS = StageStatus("factors", "stale", seconds=7500.0)


def large(folder: Path) -> RunDir:
    """Of the profile that fine-tunes 1.1 billion parameters."""
    run = sample_run.new_run(folder, "large")
    run.settings.write_text(render_settings(profile("openwebtext")))
    return run


def test_the_demo_begins_at_once(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    assert not foreseen(run, [TRAIN, StageStatus("scores", "waiting")]).is_long


def test_the_demos_validation_is_asked_about(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    assert foreseen(run, [StageStatus("validate", "waiting", optional=True)]).is_long


def test_what_took_ten_minutes_is_long_and_what_took_less_is_not(tmp_path: Path) -> None:
    run = large(tmp_path)
    assert foreseen(run, [FACTORS]).is_long
    assert not foreseen(run, [replace(FACTORS, seconds=30.0)]).is_long


def test_nothing_is_made_up_where_nothing_is_known(tmp_path: Path) -> None:
    told = foreseen(large(tmp_path), [TRAIN, FACTORS])
    assert told.is_long
    assert "a corpus whose size is known once prepare has run" in told.text
    assert "How long train takes is not known before the first time." in told.text
    assert "factors took 2 h 05 min." in told.text


def test_stages_of_which_nothing_is_known_are_named_once(tmp_path: Path) -> None:
    stages = [TRAIN, StageStatus("scores", "waiting")]
    text = foreseen(large(tmp_path), stages).text
    assert "How long they take is not known before the first time." in text
    assert text.count("scores") == 1
    assert "How long it takes is not known" in foreseen(large(tmp_path / "b"), stages[:1]).text


def test_an_attempt_that_stopped_tells_how_far_it_was(tmp_path: Path) -> None:
    told = foreseen(large(tmp_path), [replace(TRAIN, state="cancelled", share=0.425)])
    assert "train stopped at 42 %;" in told.text


def test_the_model_and_the_corpus_are_named_with_their_sizes(finished_run: RunDir) -> None:
    text = foreseen(finished_run, [TRAIN]).text
    assert "nano from scratch: 1 epoch of training on 48 examples (" in text


def test_epochs_are_told_only_of_stages_that_train(tmp_path: Path) -> None:
    run = large(tmp_path)
    assert "epoch" not in foreseen(run, [StageStatus("index", "waiting")]).text
    assert "epoch" in foreseen(run, [StageStatus("validate", "waiting")]).text
