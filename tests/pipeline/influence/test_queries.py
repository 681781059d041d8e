"""A completion set against another one is scored by the difference of the two, by every method."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.contract.settings.prompts import Prompt
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.baselines import bm25_of_prompts, bm25_scores
from pipeline.influence.fitting import fit
from pipeline.influence.hidden import hidden_cosine
from pipeline.influence.queries import Queries, differences
from pipeline.influence.scoring import (
    pairwise_scores,
    squared_gradient_norms,
    sum_modules,
    token_scores,
)
from tests.rounding import assert_same_in_float64

from .conftest import MakeAnalyzer, new_model
from .test_scoring import gradients

CONTRASTED = (1, 2)


@pytest.fixture
def queries(prompts: TokenDataset) -> Queries:
    """Three prompts, of which the last two are set against the rows 3 and 4."""
    rows = [prompts[index] for index in range(5)]
    queries = Queries(
        [row["input_ids"].numpy().astype(np.int32) for row in rows],
        [row["labels"].numpy().astype(np.int32) for row in rows],
    )
    queries.contrasted = CONTRASTED
    return queries


@pytest.mark.parametrize("strategy", ["ekfac", "kfac", "diagonal", "identity"])
@pytest.mark.parametrize(
    "scores",
    [
        pytest.param({}, id="at once"),
        pytest.param(
            {
                "batch_size": 3,
                "query_batch_size": 2,
                "query_gradient_accumulation_steps": 2,
                "data_partitions": 3,
                "module_partitions": 2,
            },
            id="in parts",
        ),
        pytest.param({"query_gradient_low_rank": 2}, id="compressed"),
    ],
)
def test_scores_are_those_of_the_completion_minus_those_of_the_other(
    make_exact_analyzer: MakeAnalyzer,
    queries: Queries,
    prompts: TokenDataset,
    examples: TokenDataset,
    strategy: str,
    scores: dict[str, int],
) -> None:
    rank = scores.get("query_gradient_low_rank", 0)
    apart = make_exact_analyzer(scores={"query_gradient_low_rank": rank})
    fit(apart, strategy, examples)
    each = sum_modules(pairwise_scores(apart, strategy, prompts, examples))
    analyzer = make_exact_analyzer(scores=scores)
    fit(analyzer, strategy, examples)
    found = sum_modules(pairwise_scores(analyzer, strategy, queries, examples))
    assert_same_in_float64(found[0], each[0])
    for row, other in zip(CONTRASTED, (3, 4), strict=True):
        # both sides were rounded to float32 once, and the sums of modules another time
        rounding = 4 * torch.finfo(torch.float32).eps * (each[row].abs() + each[other].abs()).max()
        assert (found[row] - (each[row] - each[other])).abs().max() <= rounding


def test_so_are_the_scores_of_tokens(
    make_exact_analyzer: MakeAnalyzer,
    queries: Queries,
    prompts: TokenDataset,
    examples: TokenDataset,
) -> None:
    tables = []
    for rows in (queries, prompts):
        analyzer = make_exact_analyzer()
        fit(analyzer, "identity", examples)
        tables.append(token_scores(analyzer, "identity", rows, examples, [1, 4]))
    found, each = tables
    assert found.shape[:2] == (3, 2)
    for row, other in zip(CONTRASTED, (3, 4), strict=True):
        rounding = 4 * torch.finfo(torch.float32).eps * (each[row].abs() + each[other].abs()).max()
        assert (found[row] - (each[row] - each[other])).abs().max() <= rounding


def test_the_norm_is_that_of_the_difference_of_gradients(
    make_exact_analyzer: MakeAnalyzer,
    queries: Queries,
    prompts: TokenDataset,
    examples: TokenDataset,
) -> None:
    analyzer = make_exact_analyzer()
    fit(analyzer, "identity", examples)
    expected = torch.zeros(3, dtype=torch.float64)
    for part in gradients(analyzer.modules, prompts).values():
        expected += differences(queries, part.flatten(1)).double().square().sum(dim=1)
    assert_same_in_float64(squared_gradient_norms(analyzer, queries), expected)


def test_hidden_cosines_are_subtracted(
    queries: Queries, prompts: TokenDataset, examples: TokenDataset
) -> None:
    model = new_model()
    each = hidden_cosine(model, prompts, examples, 64)
    found = hidden_cosine(model, queries, examples, 64)
    # a cosine in float32, twice: a few units in the last place of 1
    np.testing.assert_allclose(found[1], each[1] - each[3], atol=1e-5)
    np.testing.assert_allclose(found[0], each[0], atol=1e-5)


def test_words_that_both_completions_have_count_for_nothing() -> None:
    texts = ["the oboe is warm", "the flute is bright", "the drum is loud"]
    oboe = Prompt(id="a", prompt="she plays the", completion=" oboe", instead=" flute")
    alone = oboe.model_copy(update={"instead": None})
    found = bm25_of_prompts([oboe, alone], texts)
    assert found[0, 0] > 0 > found[0, 1]
    assert found[0, 2] == 0
    np.testing.assert_array_equal(found[1], bm25_scores(["she plays the oboe"], texts)[0])


def test_completions_of_the_same_words_have_no_ranking() -> None:
    prompt = Prompt(id="a", prompt="the", completion=" oboe", instead=" oboe!")
    assert np.isnan(bm25_of_prompts([prompt], ["the oboe is warm", "the drum"])).all()
