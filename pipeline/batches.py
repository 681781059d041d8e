"""Batches of examples under a token budget."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


def token_budget_batches(
    lengths: Sequence[int], budget: int, seed: int | None = None
) -> list[list[int]]:
    """Groups examples of similar length so that no padded batch exceeds `budget` tokens.

    Returns batches of indices; each index occurs once. An example longer than the budget is a
    batch of its own. With a seed, examples of equal length and the batches are shuffled; without
    one, they are ordered by length.
    """
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    if seed is not None:
        rng.shuffle(order)  # the sort is stable, so examples of equal length stay shuffled
    order.sort(key=lambda index: lengths[index])
    batches = neighbour_batches(order, lengths, budget)
    if seed is not None:
        rng.shuffle(batches)
    return batches


def neighbour_batches(
    order: Sequence[int], lengths: Sequence[int], budget: int, min_length_ratio: float = 0.0
) -> list[list[int]]:
    """Splits ordered indices into batches of at most `budget` tokens, padding counted.

    An example longer than the budget is a batch of its own; one shorter than `min_length_ratio`
    × the longest of its batch starts the next batch.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        full = (len(batch) + 1) * longest > budget
        if batch and (full or lengths[index] < min_length_ratio * longest):
            batches.append(batch)
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        batches.append(batch)
    return batches


class TokenBudgetSampler(Sampler[list[int]]):
    """Token-budget batches, shuffled anew every epoch, reproducible by the seed.

    Of `processes` that share each batch, the one of number `rank` gets every such example of it.
    """

    def __init__(
        self, lengths: Sequence[int], budget: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        self._share = slice(rank, None, processes)
        self._lengths = lengths
        self.budget = budget
        self._seed = seed
        self._epoch = 0
        self._batches = self._make()

    def _make(self) -> list[list[int]]:
        seed = self._seed * 1_000_003 + self._epoch  # no two (seed, epoch) share an order
        return token_budget_batches(self._lengths, self.budget, seed)

    def set_epoch(self, epoch: int) -> None:
        """Makes the epoch's batches; the Trainer calls it before each epoch and when resuming."""
        self._epoch = epoch
        self._batches = self._make()

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[self._share] for batch in self._batches)

    def __len__(self) -> int:
        return len(self._batches)
