"""Scores: their sign and scale against finite differences, their algebra against autograd."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from pipeline.contract.results.budget import read_budget, write_budget
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.accelerated.contractions import eigenbasis_is_cheaper
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.budgets import CPU_PROMPT_BYTES
from pipeline.influence.fitting import fit
from pipeline.influence.scoring import (
    ModuleScores,
    pairwise_scores,
    self_influence,
    squared_gradient_norms,
    sum_layers,
    sum_modules,
    token_scores,
)
from tests.rounding import assert_parts_add_up, assert_same_in_float64

from .conftest import MakeAnalyzer, exact_loss, new_model

EMPIRICAL = {"fisher": "empirical"}


def scored(
    analyzer: InfluenceAnalyzer, strategy: str, queries: TokenDataset, rows: TokenDataset
) -> ModuleScores:
    fit(analyzer, strategy, rows)
    return pairwise_scores(analyzer, strategy, queries, rows)


def gradients(modules: list[str], rows: TokenDataset) -> dict[str, Tensor]:
    """Per-example gradients [examples, out, in] of every module's weight, by autograd alone."""
    model = new_model().double()
    weights = [model.get_parameter(f"{name}.weight") for name in modules]
    found = [torch.autograd.grad(exact_loss(model, rows[i]), weights) for i in range(len(rows))]
    return {
        name: torch.stack(parts)
        for name, parts in zip(modules, zip(*found, strict=True), strict=True)
    }


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_ranks_as_float32_does(
    make_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset, dtype: str
) -> None:
    """Of the empirical Fisher: sampled labels fall differently when probabilities are rounded."""
    half = {"amp_dtype": dtype, "per_sample_gradient_dtype": dtype}
    whole = sum_modules(scored(make_analyzer(factors=EMPIRICAL), "ekfac", prompts, examples))
    analyzer = make_analyzer(factors=half | EMPIRICAL, scores=half)
    for folder in (analyzer.run.factors("ekfac"), analyzer.run.kronfluence_scores("ekfac")):
        shutil.rmtree(folder)
    rounded = sum_modules(scored(analyzer, "ekfac", prompts, examples))
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, whole)
    for row, exact in zip(rounded, whole, strict=True):
        assert spearmanr(row, exact).statistic > 0.98


def test_a_positive_score_means_training_on_the_example_lowers_the_prompts_loss(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    """Identity: −d loss(prompt) / dε under θ ← θ − ε ∇loss(example), by central differences, which
    are off by the step's square times the third derivative."""
    analyzer = make_exact_analyzer()
    scores = sum_modules(scored(analyzer, "identity", prompts, examples))
    step = 3e-4
    for i in (0, 5, 9):
        slopes = []
        for direction in (1, -1):
            model = new_model().double()
            weights = [model.get_parameter(f"{name}.weight") for name in analyzer.modules]
            gradient = torch.autograd.grad(exact_loss(model, examples[i]), weights)
            with torch.no_grad():
                for weight, part in zip(weights, gradient, strict=True):
                    weight.sub_(direction * step * part)
            losses = [exact_loss(model, prompts[q]) for q in range(len(prompts))]
            slopes.append(torch.stack(losses).detach())
        lowered = (slopes[1] - slopes[0]) / (2 * step)
        torch.testing.assert_close(scores[:, i].double(), lowered, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("damping", [1e-3, "heuristic"])
def test_diagonal_scores_are_what_autograd_gives(
    make_exact_analyzer: MakeAnalyzer,
    prompts: TokenDataset,
    examples: TokenDataset,
    damping: float | Literal["heuristic"],
) -> None:
    """score = Σ g_q · g_t ÷ (mean over examples of g² + damping), module by module."""
    analyzer = make_exact_analyzer(factors=EMPIRICAL, scores={"damping": damping})
    scores = scored(analyzer, "diagonal", prompts, examples)
    queries, rows = gradients(analyzer.modules, prompts), gradients(analyzer.modules, examples)
    for name in analyzer.modules:
        curvature = rows[name].square().mean(dim=0)
        damped = curvature + (0.1 * curvature.mean() if damping == "heuristic" else damping)
        expected = torch.einsum("qio,nio->qn", queries[name] / damped, rows[name])
        assert_same_in_float64(scores[name], expected)


@pytest.mark.parametrize("strategy", ["diagonal", "identity", "kfac"])
def test_a_strategy_scores_the_same_after_another_as_alone(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset, strategy: str
) -> None:
    alone, together = make_exact_analyzer(factors=EMPIRICAL), make_exact_analyzer(factors=EMPIRICAL)
    fresh = sum_modules(scored(alone, strategy, prompts, examples))
    own = self_influence(alone, strategy, prompts, examples)
    shutil.rmtree(alone.run.root / alone.run.analysis_name)  # both write into the same run
    scored(together, "ekfac", prompts, examples)
    self_influence(together, "ekfac", prompts, examples)
    assert_same_in_float64(sum_modules(scored(together, strategy, prompts, examples)), fresh)
    assert_same_in_float64(self_influence(together, strategy, prompts, examples), own)


def test_an_examples_self_influence_is_its_score_on_itself(
    make_exact_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    for strategy in ("ekfac", "kfac", "diagonal", "identity"):
        analyzer = make_exact_analyzer(factors=EMPIRICAL)
        on_each_other = sum_modules(scored(analyzer, strategy, examples, examples))
        own = self_influence(analyzer, strategy, examples, examples)
        assert_same_in_float64(own, on_each_other.diagonal())


def test_prompt_norms_make_the_gradient_cosine_one_for_the_same_text(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    analyzer = make_exact_analyzer()
    fit(analyzer, "identity", examples)
    parts = gradients(analyzer.modules, prompts).values()
    expected = torch.stack([part.square().sum(dim=(1, 2)) for part in parts]).sum(dim=0)
    assert_same_in_float64(squared_gradient_norms(analyzer, prompts), expected)


@pytest.mark.parametrize("strategy", ["ekfac", "identity"])
def test_an_examples_tokens_add_up_to_its_score(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset, strategy: str
) -> None:
    analyzer = make_exact_analyzer(scores={"batch_size": 2, "query_batch_size": 2})
    scores = sum_modules(scored(analyzer, strategy, prompts, examples))
    chosen = [1, 4, 5, 11, 13]
    tokens = token_scores(analyzer, strategy, prompts, examples, chosen)
    assert tokens.shape == (5, 5, max(examples.lengths[i] for i in chosen))
    assert_parts_add_up(tokens, scores[:, chosen])
    for position, index in enumerate(chosen):
        assert (tokens[:, position, examples.lengths[index] - 1 :] == 0).all()  # predicts nothing


def test_layers_add_up_to_the_whole(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    scores = scored(make_exact_analyzer(), "ekfac", prompts, examples)
    layers = sum_layers(scores)
    assert list(layers) == [0, 1]
    assert_parts_add_up(torch.stack([layers[0], layers[1]], dim=-1), sum_modules(scores))


def test_adding_modules_up_leaves_each_as_it_was() -> None:
    scores = {f"layers.{n}.up": torch.full((2, 3), n + 1.0, dtype=torch.float64) for n in range(3)}
    assert set(sum_modules(scores).flatten().tolist()) == {6.0}
    assert [int(part[0, 0]) for part in scores.values()] == [1, 2, 3]


def test_batches_and_partitions_change_no_score(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    whole = sum_modules(scored(make_exact_analyzer(), "ekfac", prompts, examples))
    parted = make_exact_analyzer(
        scores={
            "batch_size": 3,
            "query_batch_size": 2,
            "query_gradient_accumulation_steps": 2,
            "data_partitions": 3,
            "module_partitions": 2,
        }
    )
    for file in parted.run.kronfluence_scores("ekfac").glob("*"):
        file.unlink()
    parts = sum_modules(pairwise_scores(parted, "ekfac", prompts, examples))
    assert_same_in_float64(parts, whole)


def test_low_rank_prompt_gradients_repeat_themselves(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    analyzer = make_exact_analyzer(scores={"query_gradient_low_rank": 2, "query_batch_size": 2})
    first = sum_modules(scored(analyzer, "ekfac", prompts, examples))
    chosen = list(range(len(examples)))
    torch.rand(7)  # whatever else draws random numbers
    tokens = token_scores(analyzer, "ekfac", prompts, examples, chosen)
    assert_parts_add_up(tokens, first)
    exact = make_exact_analyzer()
    for file in exact.run.kronfluence_scores("ekfac").glob("*"):
        file.unlink()
    full = sum_modules(pairwise_scores(exact, "ekfac", prompts, examples))
    assert not torch.allclose(full, first, rtol=1e-3)
    assert torch.corrcoef(torch.stack([full.flatten(), first.flatten()]))[0, 1] > 0.8


def test_one_pass_over_the_training_examples_serves_all_prompts(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    whole = sum_modules(scored(make_exact_analyzer(), "identity", prompts, examples))
    analyzer = make_exact_analyzer(scores={"query_batch_size": 2})
    for file in analyzer.run.kronfluence_scores("identity").glob("*"):
        file.unlink()
    seen: list[int] = []
    analyzer.kronfluence.task._on_batch = seen.append
    scores = sum_modules(pairwise_scores(analyzer, "identity", prompts, examples))
    assert sum(seen) == len(examples)
    assert_same_in_float64(scores, whole)


@pytest.mark.parametrize("strategy", ["kfac", "ekfac"])
def test_where_prompts_and_examples_meet_changes_no_score(
    make_exact_analyzer: MakeAnalyzer,
    prompts: TokenDataset,
    examples: TokenDataset,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    analyzer = make_exact_analyzer(factors=EMPIRICAL)
    fit(analyzer, strategy, examples)
    found = []
    for there in (False, True):
        monkeypatch.setattr(
            "pipeline.influence.analyzer.eigenbasis_is_cheaper", lambda *_, there=there: there
        )
        shutil.rmtree(analyzer.run.kronfluence_scores(strategy), ignore_errors=True)
        shutil.rmtree(analyzer.run.kronfluence_scores(f"{strategy}_tokens"), ignore_errors=True)
        whole = sum_modules(pairwise_scores(analyzer, strategy, prompts, examples))
        tokens = token_scores(analyzer, strategy, prompts, examples, [1, 4])
        found.append((whole, tokens))
    for weights_own, eigenbasis in zip(*found, strict=True):
        assert_same_in_float64(eigenbasis, weights_own)


def test_few_examples_are_turned_to_many_prompts_and_the_other_way_round() -> None:
    lengths = np.array([100] * 8)
    assert eigenbasis_is_cheaper(2, lengths, outputs=5632, inputs=2048)
    assert not eigenbasis_is_cheaper(2, np.tile(lengths, 10), outputs=5632, inputs=2048)
    assert eigenbasis_is_cheaper(20, np.tile(lengths, 10), outputs=5632, inputs=2048)
    # of texts longer than the module is wide, gradients are turned instead of tokens
    assert eigenbasis_is_cheaper(9, np.array([10_000] * 8), outputs=64, inputs=64)
    assert not eigenbasis_is_cheaper(8, np.array([10_000] * 8), outputs=64, inputs=64)


def test_when_prompts_do_not_fit_together_half_of_them_share_a_pass(
    make_exact_analyzer: MakeAnalyzer,
    prompts: TokenDataset,
    examples: TokenDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = sum_modules(scored(make_exact_analyzer(), "identity", prompts, examples))
    analyzer = make_exact_analyzer()
    shutil.rmtree(analyzer.run.kronfluence_scores("identity"))
    plain, served = analyzer.kronfluence.compute_pairwise_scores, []

    def short_of_memory(*args: Any, **kwargs: Any) -> object:
        served.append(args[4] * kwargs["score_args"].query_gradient_accumulation_steps)
        if served[-1] > 2:
            raise RuntimeError("CUDA out of memory.")
        return plain(*args, **kwargs)

    monkeypatch.setattr(analyzer.kronfluence, "compute_pairwise_scores", short_of_memory)
    scores = sum_modules(pairwise_scores(analyzer, "identity", prompts, examples))
    assert served[0] >= len(prompts) > served[-1]
    assert_same_in_float64(scores, whole)
    kept = read_budget(analyzer.run)
    assert kept == analyzer.budget
    assert analyzer.budget.prompts < CPU_PROMPT_BYTES


def test_a_resumed_pass_goes_on_under_the_budget_that_it_was_begun_with(
    make_analyzer: MakeAnalyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_analyzer()
    write_budget(first.run, replace(first.budget, prompts=first.budget.prompts // 10))
    monkeypatch.setattr("pipeline.influence.analyzer.free_bytes", lambda _device: 1)
    assert make_analyzer().budget.prompts == CPU_PROMPT_BYTES // 10
