"""The validate stage on a small run: what it trains again, what it keeps, what it says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.contract.errors import SettingsError
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.validation import (
    ValidationSummary,
    read_retrainings,
    read_validation,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventReader, EventWriter, Progress
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.model import load_model
from pipeline.stages import validate
from pipeline.validation.context import ValidationContext
from pipeline.validation.retraining import Retrainer, Training
from tests.small_runs import as_written

SMALL = {"seeds": 2, "removed": 3, "subsets": 3, "dampings": [1e-3], "tail_patch": 2}


@pytest.fixture(scope="module")
def scored(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the scores stage, whose prompts are one set; tests validate it, and change
    nothing else."""
    run = RunDir(shutil.copytree(scored_run.root, tmp_path_factory.mktemp("validated") / "run"))
    prompts = [one.model_copy(update={"set": "both"}) for one in read_prompts(run)]
    save_prompts(run.prepared_prompts, prompts)
    as_written(run, "prepare")
    return run


def wanting(run: RunDir, **wanted: Any) -> Settings:
    settings = load_settings(run.settings)
    section = settings.validation.model_copy(update={**SMALL, **wanted})
    return settings.model_copy(update={"validation": section})


def context_of(run: RunDir) -> ValidationContext:
    return ValidationContext.of(wanting(run), run, EventWriter(run.events, "validate"))


def validated(run: RunDir, **wanted: Any) -> ValidationSummary:
    settings = wanting(run, **wanted)
    freshness.begin("validate", settings, run)
    validate.run(settings, run, EventWriter(run.events, "validate"))
    return read_validation(run)


def trained_again(run: RunDir) -> list[str]:
    return [line.key for line in read_retrainings(run)]


@pytest.fixture(scope="module")
def summary(scored: RunDir) -> ValidationSummary:
    return validated(scored)


def test_training_on_everything_again_gives_the_very_model_of_the_run(scored: RunDir) -> None:
    context = context_of(scored)
    everything = np.arange(len(context.examples))
    own = Training(everything, context.seed)
    again = context.retrainer.train(own, lambda *_: None)
    model = load_model(scored.model, torch.device("cpu"))
    likelihoods = context.completions.log_likelihoods(model)
    assert again == pytest.approx(likelihoods, abs=1e-4)
    # so that it need not be done again
    assert context.outcomes("again", [own])[0].tolist() == likelihoods.tolist()


def test_a_training_that_several_processes_shared_is_done_again_by_one(scored: RunDir) -> None:
    settings = load_settings(scored.settings)
    train = settings.train.model_copy(update={"processes": 2, "shard": True, "max_steps": 2})
    context = context_of(scored)
    shared = settings.model_copy(update={"train": train})
    some = Training(np.arange(24), seed=5)
    found = Retrainer(shared, scored, context.completions).train(some, lambda *_: None)
    alone = train.model_copy(update={"processes": 1, "shard": False})
    settings = settings.model_copy(update={"train": alone})
    expected = Retrainer(settings, scored, context.completions).train(some, lambda *_: None)
    assert found.tolist() == expected.tolist()


def test_removal_leaves_out_the_first_examples_of_each_method(summary: ValidationSummary) -> None:
    removal = summary.removal
    assert removal is not None
    assert set(removal.methods) == {"ekfac_normalized", "bm25", "random"}
    assert 3 <= removal.left_out["ekfac_normalized"] <= 2 * 3, "three of each of two prompts"
    assert removal.left_out["random"] == removal.left_out["ekfac_normalized"]
    assert removal.seed_noise is not None
    assert removal.seed_noise > 0
    for effect in removal.methods.values():
        drop = effect.drop
        assert drop.n == 2
        assert drop.low is not None
        assert drop.high is not None
        assert drop.low <= drop.value <= drop.high
        each = [value for value in effect.prompts.values() if value is not None]
        assert drop.value == pytest.approx(np.mean(each))


def test_every_ranking_has_a_datamodeling_score_within_its_interval(
    summary: ValidationSummary,
) -> None:
    found = summary.datamodeling
    assert found is not None
    assert {"ekfac", "ekfac_normalized", "bm25", "ekfac_normalized, damping 0.001"} <= set(
        found.methods
    )
    for score in found.methods.values():
        assert -1 <= score.low <= score.value <= score.high <= 1
    assert found.methods["bm25"].advantage is None
    of_set = found.methods["Σ both · ekfac_normalized"]
    assert of_set.prompts == 1, "the set is one query"
    assert of_set.advantage is not None
    assert found.methods["Σ both · bm25"].advantage is None


def test_a_ranking_is_compared_with_its_refit_and_other_dampings(
    summary: ValidationSummary,
) -> None:
    (refit,) = summary.refits
    assert refit.mean_correlation < 1, "other labels were sampled"
    damped = summary.dampings["ekfac_normalized, damping 0.001"]
    assert 0 <= damped.top_overlap <= 1
    assert damped.known is not None, "one prompt names the document behind it"
    assert damped.known.k == 5


def test_what_was_trained_is_kept_and_a_wider_validation_adds_to_it(
    scored: RunDir, summary: ValidationSummary
) -> None:
    before = trained_again(scored)
    wider = validated(scored, subsets=4)
    after = trained_again(scored)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    assert wider.removal == summary.removal
    phases = {e.phase for e in EventReader(scored.events).read() if isinstance(e, Progress)}
    assert {"removal", "random halves", "tail patch"} <= phases


def test_parts_that_are_not_wanted_are_missing_not_invented(scored: RunDir) -> None:
    nothing = validated(scored, seeds=0, subsets=0, tail_patch=0, dampings=[], fisher_seeds=0)
    assert nothing.removal is None
    assert nothing.datamodeling is None
    assert nothing.tail_patch is None
    assert nothing.dampings == {}
    assert nothing.refits == ()


def test_other_tools_scores_are_validated_beside_ours(scored: RunDir, tmp_path: Path) -> None:
    ours = context_of(scored).methods["ekfac"]
    np.save(tmp_path / "theirs.npy", 5 * ours)
    few = {"seeds": 0, "tail_patch": 0, "dampings": [], "fisher_seeds": 0}
    found = validated(scored, outside=[str(tmp_path / "theirs.npy")], **few).datamodeling
    assert found is not None
    theirs, own = found.methods["theirs"], found.methods["ekfac"]
    assert theirs.value == own.value, "the scale does not matter"


def test_scores_of_another_shape_are_refused_with_both_shapes(
    scored: RunDir, tmp_path: Path
) -> None:
    np.save(tmp_path / "theirs.npy", np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(SettingsError, match=r"shape \[2, 48\].*holds theirs \[2, 3\]"):
        validated(scored, outside=[str(tmp_path / "theirs.npy")])


def test_a_file_of_scores_that_is_none_is_refused(scored: RunDir, tmp_path: Path) -> None:
    (tmp_path / "theirs.safetensors").write_text("no")
    with pytest.raises(SettingsError, match=r"theirs\.safetensors cannot be read"):
        validated(scored, outside=[str(tmp_path / "theirs.safetensors")])
