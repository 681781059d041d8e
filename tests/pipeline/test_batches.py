"""Batches: whole examples, like lengths together, never more than the budget."""

from __future__ import annotations

import random

import pytest

from pipeline.batches import TokenBudgetSampler, token_budget_batches

LENGTHS = [random.Random(0).randint(3, 60) for _ in range(200)]


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_every_example_is_in_exactly_one_batch(seed: int | None) -> None:
    batches = token_budget_batches(LENGTHS, 128, seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(LENGTHS)))


@pytest.mark.parametrize("seed", [None, 0])
def test_no_padded_batch_exceeds_the_budget(seed: int | None) -> None:
    batches = token_budget_batches(LENGTHS, 128, seed)
    padded = [len(batch) * max(LENGTHS[index] for index in batch) for batch in batches]
    assert max(padded) <= 128


def test_like_lengths_share_a_batch_so_that_little_is_padding() -> None:
    batches = token_budget_batches(LENGTHS, 256, seed=0)
    padded = sum(len(batch) * max(LENGTHS[index] for index in batch) for batch in batches)
    assert padded < 1.05 * sum(LENGTHS)


def test_an_example_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert token_budget_batches([5, 500, 6], 32) == [[0, 2], [1]]


def test_no_examples_make_no_batches() -> None:
    assert token_budget_batches([], 32, seed=0) == []


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    assert token_budget_batches(LENGTHS, 128, 3) == token_budget_batches(LENGTHS, 128, 3)
    assert token_budget_batches(LENGTHS, 128, 3) != token_budget_batches(LENGTHS, 128, 4)


def test_without_a_seed_batches_go_from_short_to_long() -> None:
    longest = [max(LENGTHS[i] for i in batch) for batch in token_budget_batches(LENGTHS, 128)]
    assert longest == sorted(longest)


def test_each_epoch_has_another_order_and_the_same_number_of_batches() -> None:
    sampler = TokenBudgetSampler(LENGTHS, 128, seed=0)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
        assert len(epochs[-1]) == len(sampler)
    assert epochs[0] != epochs[1] != epochs[2]
    sampler.set_epoch(1)
    assert list(sampler) == epochs[1], "an epoch gone back to is the same again"
