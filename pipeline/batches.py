"""Batches under a token budget."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


def token_budget_batches(
    lengths: Sequence[int], budget: int, seed: int | None = None
) -> list[list[int]]:
    """Groups examples of like length so that no padded batch exceeds `budget` tokens.

    An example longer than the budget is a batch of its own. With a seed, equal lengths are
    shuffled and so are the batches; without one, the order is by length. Every index once.
    """
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    if seed is not None:
        rng.shuffle(order)
    order.sort(key=lambda index: lengths[index])
    batches = neighbour_batches(order, lengths, budget)
    if seed is not None:
        rng.shuffle(batches)
    return batches


def neighbour_batches(
    order: Sequence[int], lengths: Sequence[int], budget: int, alike: float = 0.0
) -> list[list[int]]:
    """Cuts an order into batches of at most `budget` tokens, padding to the longest counted.

    An example longer than the budget is a batch of its own, and one shorter than `alike` × the
    longest of its batch begins the next.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        full = (len(batch) + 1) * longest > budget
        if batch and (full or lengths[index] < alike * longest):
            batches.append(batch)
            batch, longest = [], lengths[index]
        batch.append(index)
    if batch:
        batches.append(batch)
    return batches


class TokenBudgetSampler(Sampler[list[int]]):
    """The batches of an epoch, another order every epoch, the same for the same seed."""

    def __init__(self, lengths: Sequence[int], budget: int, seed: int) -> None:
        self._lengths = lengths
        self.budget = budget
        self._seed = seed
        self._epoch = 0
        self._batches = self._make()

    def _make(self) -> list[list[int]]:
        seed = self._seed * 1_000_003 + self._epoch  # no two (seed, epoch) share an order
        return token_budget_batches(self._lengths, self.budget, seed)

    def set_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch, and on resuming in one."""
        self._epoch = epoch
        self._batches = self._make()

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)
