"""Passes compute in the fastest precision that moves no gradient far, and a run keeps to it."""

from __future__ import annotations

import pytest
import torch

from pipeline.contract.results.precision import Precision, read_precision, write_precision
from pipeline.contract.run.events import EventReader, Note
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.fitting import fit
from pipeline.influence.precision import BOUND, candidates, choose, settle_precision
from pipeline.influence.scoring import pairwise_scores, sum_modules
from pipeline.influence.settled import settled

from .conftest import MakeAnalyzer

HALVES = ("bfloat16", False)
FLOAT32 = ("none", False)


def test_on_a_cpu_it_is_float32(make_analyzer: MakeAnalyzer, examples: TokenDataset) -> None:
    analyzer = make_analyzer()
    assert analyzer.wanted.factors.amp_dtype == analyzer.wanted.run.tf32 == "auto"
    measured = settle_precision(analyzer, examples, "factors")
    assert measured.precision == 0
    assert (analyzer.settings.factors.amp_dtype, analyzer.settings.run.tf32) == FLOAT32
    told = [e.message for e in EventReader(analyzer.run.events).read() if isinstance(e, Note)]
    assert told[0] == "passes in float32: there is nothing else on cpu"


def test_half_precision_is_chosen_where_gradients_stay(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    analyzer = make_analyzer()
    chosen, errors = choose(analyzer, examples, "scores", [HALVES, FLOAT32])
    assert (chosen.amp_dtype, chosen.tf32) == HALVES
    assert errors
    assert 0 < errors.precision <= BOUND
    assert f"{BOUND:.0%} are allowed" in chosen.why


def test_where_they_move_it_is_not_and_the_reason_is_said(
    make_analyzer: MakeAnalyzer, examples: TokenDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.influence.precision.BOUND", 1e-6)
    chosen, errors = choose(make_analyzer(), examples, "scores", [HALVES, FLOAT32])
    assert (chosen.amp_dtype, chosen.tf32) == FLOAT32
    assert errors is None
    assert "in bfloat16" in chosen.why


@pytest.mark.parametrize("stage", ["factors", "scores"])
def test_what_is_chosen_is_what_passes_compute_in_from_the_first_attempt_on(
    make_analyzer: MakeAnalyzer,
    examples: TokenDataset,
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_a_gpu = [("bfloat16", True), FLOAT32]
    monkeypatch.setattr("pipeline.influence.precision.candidates", lambda *_: on_a_gpu)
    analyzer = make_analyzer()
    settle_precision(analyzer, examples, stage)
    assert getattr(analyzer.settings, stage).amp_dtype == "bfloat16"
    assert analyzer.settings.run.tf32
    again = make_analyzer()  # a resumed attempt computes in the same
    assert getattr(again.settings, stage) == getattr(analyzer.settings, stage)
    assert again.settings.run.tf32


def test_what_the_settings_say_is_not_chosen(make_analyzer: MakeAnalyzer) -> None:
    said = make_analyzer(run={"device": "cpu", "tf32": True}, scores={"amp_dtype": "bfloat16"})
    cpu = torch.device("cpu")
    assert candidates(said.wanted, "scores", cpu) == [("bfloat16", True)]
    assert candidates(said.wanted, "factors", cpu) == [("none", True)]


def test_a_gpu_tries_the_fastest_first(
    make_analyzer: MakeAnalyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, gpu = make_analyzer().wanted, torch.device("cuda")
    order = [("bfloat16", True), ("bfloat16", False), ("none", True), ("none", False)]
    for has, expected in ((True, order), (False, order[2:])):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has, **_: has)
        assert candidates(wanted, "scores", gpu) == expected


def test_a_stage_goes_on_in_the_precision_that_it_began_with(
    make_analyzer: MakeAnalyzer, examples: TokenDataset, prompts: TokenDataset
) -> None:
    first = make_analyzer()
    write_precision(first.run, "scores", Precision("bfloat16", tf32=False, why="a test"))
    later = make_analyzer()
    settle_precision(later, examples, "scores")
    assert later.settings.scores.amp_dtype == "bfloat16"
    assert read_precision(later.run, "scores") == Precision("bfloat16", False, "a test")
    # others that score for the same run, as new prompts do, take it up too
    assert settled(later.wanted, later.run).scores.amp_dtype == "bfloat16"
    fit(later, "identity", examples)
    scores = sum_modules(pairwise_scores(later, "identity", prompts, examples))
    assert scores.dtype == torch.float32
    assert (
        len(set(scores.flatten().tolist())) == scores.numel()
    )  # added up in float32: nothing was rounded equal
