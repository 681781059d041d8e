"""Batches of examples of similar length under a token budget, for Kronfluence's passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kronfluence.analyzer import Analyzer
from kronfluence.utils.dataset import make_indices_partition
from torch.utils.data import DataLoader, Dataset, Subset

from pipeline.batches import neighbour_batches
from pipeline.contract.files import read_json
from pipeline.corpus.examples import TokenBatch, TokenDataset
from pipeline.sharing.work import Part


class BudgetedAnalyzer(Analyzer):  # type: ignore[misc]
    """Kronfluence's analyzer, whose batch size of training examples is a token budget.

    Examples keep the order in which they are given: sorted by `by_length`, batches have little
    padding. Prompts are batched by number, because the memory goes to their gradients.
    """

    _parts: Iterator[Part] | None = None
    """The partitions that this process computes; None = all, in their order."""
    _merges = True
    _part: Part = (0, 0)

    @contextmanager
    def only(self, parts: Iterator[Part], merges: bool) -> Iterator[None]:
        """Context in which passes compute these partitions alone, each asked for when the one
        before has been saved; `merges`: and then merge all of them."""
        self._parts, self._merges = parts, merges
        try:
            yield
        finally:
            self._parts, self._merges = None, True

    def _get_data_partition(self, *args: Any, **kwargs: Any) -> tuple[Any, Iterable[int]]:
        # Kronfluence goes through the data partitions, and in each through the module partitions
        bounds, wanted = super()._get_data_partition(*args, **kwargs)
        return bounds, wanted if self._parts is None else self._data_of(self._parts)

    def _data_of(self, parts: Iterator[Part]) -> Iterator[int]:
        for self._part in parts:
            yield self._part[0]

    def _get_module_partition(self, *args: Any, **kwargs: Any) -> tuple[Any, Iterable[int]]:
        names, wanted = super()._get_module_partition(*args, **kwargs)
        return names, wanted if self._parts is None else _ModuleOf(self)

    def _aggregate_factors(self, *args: Any, **kwargs: Any) -> Any:
        return super()._aggregate_factors(*args, **kwargs) if self._merges else None

    def _aggregate_scores(self, *args: Any, **kwargs: Any) -> Any:
        return super()._aggregate_scores(*args, **kwargs) if self._merges else None

    def _get_dataloader(
        self,
        dataset: Dataset[Any],
        per_device_batch_size: int,
        dataloader_params: dict[str, Any],  # Any: as in Kronfluence's method
        indices: Sequence[int] | None = None,
        allow_duplicates: bool = False,
        stack: bool = False,
    ) -> DataLoader[TokenBatch]:
        """Batches by tokens for training examples, by number for prompts."""
        # Kronfluence passes row indices for training examples only
        if indices is None:
            loader: DataLoader[TokenBatch] = super()._get_dataloader(
                dataset, per_device_batch_size, dataloader_params, None, allow_duplicates, stack
            )
            return loader
        rows = Subset(dataset, indices)
        batches = length_batches(_lengths(rows), per_device_batch_size)
        return DataLoader(rows, batch_sampler=batches, **dataloader_params)


class _ModuleOf:
    """The module partition of the part that an analyzer is at; the only one, whenever asked."""

    def __init__(self, analyzer: BudgetedAnalyzer) -> None:
        self._analyzer = analyzer

    def __iter__(self) -> Iterator[int]:
        return iter((self._analyzer._part[1],))


def length_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Consecutive rows in batches under a token budget, each less than a quarter padding."""
    return neighbour_batches(range(len(lengths)), lengths, budget, min_length_ratio=0.75)


def by_length(lengths: Sequence[int], partitions: int = 1, first: int | None = None) -> list[int]:
    """Indices of the examples, longest first within each of Kronfluence's data partitions.

    Each partition holds the same examples as without sorting. Only the `first` examples are
    partitioned; the others follow in their own order.
    """
    # longest first: a batch that does not fit into memory is met at once, not after hours
    parted = len(lengths) if first is None else first
    order: list[int] = []
    for start, end in make_indices_partition(parted, partitions):
        order += sorted(range(start, end), key=lambda index: -lengths[index])
    return order + list(range(parted, len(lengths)))


def score_columns(scores: Path, examples: Sequence[int]) -> list[int]:
    """Columns of these examples in a folder of Kronfluence's scores, by the folder's metadata."""
    indices = read_json(scores / "train_dataset_metadata.json")["indices"]
    if indices is None:
        return list(examples)
    column_of = {example: column for column, example in enumerate(indices)}
    return [column_of[example] for example in examples]


def _lengths(rows: Dataset[Any]) -> list[int]:
    """Number of tokens of each row of a token data set or of a subset of one."""
    if isinstance(rows, Subset):
        lengths = _lengths(rows.dataset)
        return [lengths[index] for index in rows.indices]
    assert isinstance(rows, TokenDataset)
    return rows.lengths
