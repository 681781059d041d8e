"""What holds of all scores: names of methods, layers of modules, the stage's summary."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.results.scores import (
    KnownAnswers,
    Retrieval,
    ScoresSummary,
    layer_of,
    load_scores_summary,
    measures,
    normalized_name,
    strategy_of,
    write_scores_summary,
)
from pipeline.contract.run.run_dir import RunDir
from tests.small_scores import finished_run

SUMMARY = ScoresSummary(
    default_method="ekfac_normalized",
    methods=("ekfac", "ekfac_normalized"),
    prompts=2,
    examples=3,
    modules=("layers.2.up",),
    known=KnownAnswers(correct=1, prompts=2),
    evaluation={"ekfac": Retrieval(recall=0.5, k=5, mrr=0.25, top1=0.0)},
    preflight=GradientErrors(batch_mates=1e-6, precision=0.0),
    warnings=("only 3 training examples",),
    seconds={"answers": 0.5},
)


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        ("model.layers.21.mlp.gate_proj", 21),
        ("transformer.h.3.mlp.c_fc", 3),
        ("model.layers.3.block_sparse_moe.experts.7.w1", 3),
        ("0.mlp", 0),
        ("h.0", 0),
        ("lm_head", None),
        ("mlp2.up", None),
        ("all_modules", None),
    ],
)
def test_a_modules_layer_is_the_first_number_between_dots(module: str, layer: int | None) -> None:
    assert layer_of(module) == layer


@pytest.mark.parametrize("strategy", ["identity", "diagonal", "kfac", "ekfac"])
def test_a_methods_strategy_is_found_from_either_of_its_names(strategy: str) -> None:
    assert strategy_of(strategy) == strategy
    assert strategy_of(normalized_name(strategy)) == strategy


def test_the_normalized_gradient_product_is_called_a_cosine() -> None:
    assert normalized_name("identity") == "gradient_cosine"


@pytest.mark.parametrize("method", ["bm25", "hidden_cosine"])
def test_methods_that_look_at_no_gradient_have_no_strategy(method: str) -> None:
    assert strategy_of(method) is None


def test_every_method_has_a_sentence_of_its_own() -> None:
    strategies = ["ekfac", "kfac", "diagonal", "identity"]
    names = [*strategies, *map(normalized_name, strategies), "hidden_cosine", "bm25", "layer 3"]
    sentences = [measures(name) for name in names]
    assert len(set(sentences)) == len(names)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_a_summary_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    write_scores_summary(run, SUMMARY)
    assert load_scores_summary(run).value == SUMMARY


def test_a_summary_from_before_the_preflight_is_read(tmp_path: Path) -> None:
    run = finished_run(tmp_path, written_by=1)
    old = Path(__file__).parent / "old" / "scores_1.json"
    shutil.copy(old, RunDir(run.root).summary("scores"))
    summary = load_scores_summary(run).value
    assert summary.preflight is None
    assert summary.known == KnownAnswers(correct=31, prompts=40)
    assert summary.evaluation["ekfac_normalized"].mrr == 0.97
