"""Batches under a token budget: which example is where, and what running out of memory costs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, permutations
from kronfluence.analyzer import Analyzer
from torch import Tensor
from torch.utils.data import Subset

from pipeline.batches import neighbour_batches
from pipeline.contract.files import read_json
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.budgeted_analyzer import by_length, length_batches
from pipeline.influence.fitting import fit
from pipeline.influence.scoring import pairwise_scores, self_influence, sum_modules, token_scores
from tests.rounding import assert_parts_add_up, assert_same_in_float64

from .conftest import MakeAnalyzer, exact_loss, new_model


def test_neighbours_share_a_batch_in_their_order() -> None:
    lengths = [9, 4, 4, 3, 2, 2, 30, 1]
    assert neighbour_batches(range(8), lengths, 12) == [[0], [1, 2, 3], [4, 5], [6], [7]]


def test_examples_of_unlike_lengths_do_not_share_a_batch_however_few_they_are() -> None:
    assert length_batches([100, 80, 75, 74, 60, 10], 1000) == [[0, 1, 2], [3, 4], [5]]


def test_longest_first_within_the_parts_that_kronfluence_makes() -> None:
    lengths = [3, 5, 5, 1, 9, 2, 7]
    assert by_length(lengths) == [4, 6, 1, 2, 0, 5, 3]
    assert by_length(lengths, partitions=2) == [1, 2, 0, 3, 4, 6, 5]
    assert by_length(lengths, partitions=2, first=4) == [1, 0, 2, 3, 4, 5, 6]


def test_training_examples_are_batched_by_tokens_and_prompts_by_number(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    kronfluence = make_analyzer().kronfluence
    order = by_length(examples.lengths)
    rows, params = Subset(examples, order), {"collate_fn": pad_batch}
    batches = list(kronfluence._get_dataloader(rows, 24, params, indices=range(len(rows))))
    assert sum(len(batch["input_ids"]) for batch in batches) == len(examples)
    assert max(batch["input_ids"].numel() for batch in batches) <= 24
    assert len(batches) < len(examples)
    prompts = list(kronfluence._get_dataloader(examples, 5, params))
    assert [len(batch["input_ids"]) for batch in prompts] == [5, 5, 4]


@pytest.mark.parametrize("partitions", [1, 3])
def test_score_files_say_which_example_a_column_is(
    make_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset, partitions: int
) -> None:
    analyzer = make_analyzer(scores={"data_partitions": partitions})
    fit(analyzer, "identity", examples)
    ours = pairwise_scores(analyzer, "identity", prompts, examples)
    own = self_influence(analyzer, "identity", prompts, examples)
    folder = analyzer.run.kronfluence_scores("identity")
    indices = read_json(folder / "train_dataset_metadata.json")["indices"]
    for name, scores in Analyzer.load_file(folder / "pairwise_scores.safetensors").items():
        assert torch.equal(scores, ours[name][:, indices])
    saved = sum_modules(Analyzer.load_file(folder / "self_scores.safetensors"))
    assert torch.equal(saved, own[indices])


def test_token_scores_come_in_the_order_that_was_asked_for(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    analyzer = make_exact_analyzer(scores={"batch_size": 1})
    fit(analyzer, "identity", examples)
    scores = sum_modules(pairwise_scores(analyzer, "identity", prompts, examples))
    chosen = [13, 2, 7, 0, 5]
    tokens = token_scores(analyzer, "identity", prompts, examples, chosen)
    assert_parts_add_up(tokens, scores[:, chosen])


def test_memory_that_runs_out_costs_no_finished_part(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    parts: dict[str, Any] = {"data_partitions": 2, "batch_size": 4}
    whole = make_exact_analyzer()
    fit(whole, "identity", examples)
    expected = sum_modules(pairwise_scores(whole, "identity", prompts, examples))
    analyzer = make_exact_analyzer(scores=parts)
    folder = analyzer.run.kronfluence_scores("identity")
    for file in folder.glob("*"):
        file.unlink()
    first = folder / "pairwise_scores_data_partition0_module_partition0.safetensors"
    failures = _out_of_memory_beyond(analyzer, 2, once=first.exists)
    scores = sum_modules(pairwise_scores(analyzer, "identity", prompts, examples))
    assert failures
    assert first.stat().st_mtime_ns < failures[0]
    assert_same_in_float64(scores, expected)


def _out_of_memory_beyond(
    analyzer: InfluenceAnalyzer, most: int, once: Callable[[], bool]
) -> list[int]:
    """From when `once()` holds, batches of more examples run out of memory; when they did."""
    happened: list[int] = []

    def on_batch(size: int) -> None:
        if once() and size > most:
            happened.append(time.time_ns())
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    analyzer.kronfluence.task._on_batch = on_batch
    return happened


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=permutations(range(14)),
    batch=integers(1, 14),
    partitions=integers(1, 5),
    at_once=integers(1, 5),
)
def test_neither_order_nor_batches_nor_padding_change_a_score(
    make_exact_analyzer: MakeAnalyzer,
    prompts: TokenDataset,
    examples: TokenDataset,
    order: list[int],
    batch: int,
    partitions: int,
    at_once: int,
) -> None:
    expected = one_by_one(examples, prompts)
    analyzer = make_exact_analyzer(
        scores={"batch_size": batch, "data_partitions": partitions, "query_batch_size": at_once}
    )
    for folder in (analyzer.run.factors("identity"), analyzer.run.kronfluence_scores("identity")):
        shutil.rmtree(folder, ignore_errors=True)
    rows = examples.subset(order)
    fit(analyzer, "identity", rows)
    scores = sum_modules(pairwise_scores(analyzer, "identity", prompts, rows))
    assert_same_in_float64(scores, expected[:, order])
    own = self_influence(analyzer, "identity", prompts, rows)
    itself = one_by_one(examples, examples).diagonal()
    assert_same_in_float64(own, itself[order])


def one_by_one(examples: TokenDataset, prompts: TokenDataset) -> Tensor:
    """Dot products [Q, N] of the MLP weights' gradients, float64, by autograd, nothing padded."""
    model = new_model().double()
    weights = [weight for name, weight in model.named_parameters() if ".mlp." in name]
    gradients = []
    for rows in (prompts, examples):
        found = []
        for index in range(len(rows)):
            parts = torch.autograd.grad(exact_loss(model, rows[index]), weights)
            found.append(torch.cat([part.flatten() for part in parts]))
        gradients.append(torch.stack(found))
    return gradients[0] @ gradients[1].t()
