"""Prompts' gradients are compressed where that saves passes and a sample's ranks stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contract.results.budget import read_budget
from pipeline.contract.run.events import EventReader, Note
from pipeline.corpus.examples import TokenDataset
from pipeline.influence import compression
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.arguments import gradient_bytes
from pipeline.influence.compression import measured_rank, settle_rank
from pipeline.influence.fitting import fit
from pipeline.influence.settled import rank_of, settled

from .conftest import MakeAnalyzer

RANK = 4
"""At which two prompts of the tiny model take less than one uncompressed."""


@pytest.fixture
def short_of_memory(make_analyzer: MakeAnalyzer, examples: TokenDataset) -> InfluenceAnalyzer:
    """Has room for one prompt's gradients, or for more where they are compressed."""
    analyzer = make_analyzer()
    fit(analyzer, "ekfac", examples)
    analyzer.budget = replace(analyzer.budget, prompts=gradient_bytes(analyzer.shapes, 0))
    return analyzer


def scored(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "influence").glob("scores_*"))


def test_ranks_that_stay_let_it_be_compressed(
    short_of_memory: InfluenceAnalyzer,
    prompts: TokenDataset,
    examples: TokenDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compression, "RANK", RANK)
    monkeypatch.setattr(compression, "LEAST", -1.0)
    rank, reason = measured_rank(short_of_memory, "ekfac", prompts, examples)
    assert rank == RANK
    assert f"instead of {len(prompts)} passes" in reason
    assert scored(short_of_memory.run.root) == []  # the samples leave nothing behind


def test_ranks_that_do_not_stay_forbid_it(
    short_of_memory: InfluenceAnalyzer,
    prompts: TokenDataset,
    examples: TokenDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compression, "RANK", 1)
    monkeypatch.setattr(compression, "LEAST", 1.0)
    rank, reason = measured_rank(short_of_memory, "ekfac", prompts, examples)
    assert rank == 0
    assert "less than 1.0" in reason


def test_it_is_not_tried_where_it_saves_no_pass(
    make_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    rank, reason = measured_rank(make_analyzer(), "ekfac", prompts, examples)
    assert (rank, reason) == (0, "rank 64 would save none of 1 passes over the examples")


def test_a_cpu_compresses_nothing_and_the_decision_is_kept(
    short_of_memory: InfluenceAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    analyzer = short_of_memory
    settle_rank(analyzer, "ekfac", prompts, examples)
    kept = read_budget(analyzer.run)
    assert kept
    assert (kept.rank, kept.rank_reason) == (0, "on a CPU scores stay the same to the last bit")
    told = [e.message for e in EventReader(analyzer.run.events).read() if isinstance(e, Note)]
    assert told[-1].startswith("prompts' gradients uncompressed: on a CPU")
    analyzer.compress(RANK, "a test")
    settle_rank(analyzer, "ekfac", prompts, examples)  # as a resumed stage does
    assert analyzer.gathering(prompts).passes < len(prompts)
    assert rank_of(settled(analyzer.wanted, analyzer.run)) == RANK


def test_a_rank_that_the_settings_name_stays(
    make_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    analyzer = make_analyzer(scores={"query_gradient_low_rank": 2})
    settle_rank(analyzer, "ekfac", prompts, examples)
    assert rank_of(analyzer.settings) == 2
    assert read_budget(analyzer.run) is None
