"""Corpora that teach nothing: stages end well, or with one message that says why not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.contract.errors import DataError
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.scores import BM25
from pipeline.contract.results.training import read_training
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.validation.retraining import Completions, Retrainer, Training
from tests.faults.kills import new_run

CORPORA = {
    "identical documents": ["The baker sells bread."] * 20,
    "constant documents, some of one token": ["a a a a a a a a"] * 10 + ["b", "c"] * 5,
}


def run_on(folder: Path, texts: Sequence[str]) -> RunDir:
    """A run on these texts, in which no stage has run."""
    run = new_run(folder)
    lines = "".join(f"{json.dumps({'text': text})}\n" for text in texts)
    (folder / "source" / "data" / "texts.jsonl").write_text(lines)
    return run


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_that_teaches_nothing_gives_scores_that_are_numbers(
    tmp_path: Path, name: str
) -> None:
    """Its covariances are singular, and near-duplicates fill every ranking."""
    from pipeline.stages import factors, prepare, scores, train
    from tests.small_runs import run_here

    run = run_on(tmp_path, CORPORA[name])
    run_here(run, prepare, train, factors, scores)
    found = ScoreFile(run)
    assert found.metadata.examples == len(CORPORA[name])
    methods = set(found.metadata.methods) - {BM25}  # which is missing where no word is shared
    assert all(np.isfinite(found.method(method)).all() for method in methods)
    assert read_training(run).stopped_early is None


@pytest.mark.parametrize("texts", [[""], ["", "  ", "\n"], []])
def test_a_corpus_without_text_is_refused(tmp_path: Path, texts: list[str]) -> None:
    from pipeline.stages import prepare

    run = run_on(tmp_path, texts)
    with pytest.raises(DataError):
        prepare.run(load_settings(run.settings), run, EventWriter(run.events, "prepare"))


def test_no_model_is_trained_again_on_nothing(finished_run: RunDir) -> None:
    retrainer = Retrainer(load_settings(finished_run.settings), finished_run, Completions([], 1))
    nothing = Training(np.array([], np.intp), seed=0)
    with pytest.raises(DataError, match="of 48 examples none is left"):
        retrainer.outcome(nothing, lambda done, total: None)
