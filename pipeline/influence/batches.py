"""Batches of examples of like length under a token budget, in Kronfluence's passes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kronfluence.analyzer import Analyzer
from kronfluence.utils.dataset import make_indices_partition
from torch.utils.data import DataLoader, Dataset, Subset

from pipeline.batches import neighbour_batches
from pipeline.contract.files import read_json
from pipeline.corpus.examples import TokenBatch, TokenDataset


class BudgetedAnalyzer(Analyzer):  # type: ignore[misc]
    """Kronfluence's analyzer whose batch size of training examples is a number of tokens.

    Examples keep the order that they are given in: sorted, see `by_length`, a batch has little
    padding. Prompts are batched by their number, because it is their gradients that take memory.
    """

    def _get_dataloader(
        self,
        dataset: Dataset[Any],
        per_device_batch_size: int,
        dataloader_params: dict[str, Any],
        indices: Sequence[int] | None = None,
        allow_duplicates: bool = False,
        stack: bool = False,
    ) -> DataLoader[TokenBatch]:
        """Kronfluence names the rows of training examples; of prompts it takes all."""
        if indices is None:
            loader: DataLoader[TokenBatch] = super()._get_dataloader(
                dataset, per_device_batch_size, dataloader_params, None, allow_duplicates, stack
            )
            return loader
        rows = Subset(dataset, indices)
        batches = length_batches(_lengths(rows), per_device_batch_size)
        return DataLoader(rows, batch_sampler=batches, **dataloader_params)


def length_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Neighbours under a token budget, of which less than a quarter can be padding."""
    return neighbour_batches(range(len(lengths)), lengths, budget, alike=0.75)


def by_length(lengths: Sequence[int], partitions: int = 1, first: int | None = None) -> list[int]:
    """An order of the examples: longest first within each of Kronfluence's data partitions.

    So every partition holds the examples that it would hold anyway, and memory that is too
    little shows at its first batch. Only the `first` examples are parted; others follow.
    """
    parted = len(lengths) if first is None else first
    order: list[int] = []
    for start, end in make_indices_partition(parted, partitions):
        order += sorted(range(start, end), key=lambda index: -lengths[index])
    return order + list(range(parted, len(lengths)))


def columns_of(scores: Path, examples: Sequence[int]) -> list[int]:
    """Where the examples are in a folder of Kronfluence's scores, by the folder's own metadata."""
    indices = read_json(scores / "train_dataset_metadata.json")["indices"]
    if indices is None:
        return list(examples)
    places = {example: column for column, example in enumerate(indices)}
    return [places[example] for example in examples]


def _lengths(rows: Dataset[Any]) -> list[int]:
    """Tokens of every row of a token data set or of a part of one."""
    if isinstance(rows, Subset):
        lengths = _lengths(rows.dataset)
        return [lengths[index] for index in rows.indices]
    assert isinstance(rows, TokenDataset)
    return rows.lengths
