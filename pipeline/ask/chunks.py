"""The features of examples as parts that workers share: each is a chunk of a store.

A chunk is batched by itself, so its features do not depend on who computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from pipeline.ask.projection import Projection
from pipeline.ask.store import FeatureStore
from pipeline.batches import token_budget_batches
from pipeline.contract.files import read_object, write_json
from pipeline.contract.run.events import EventWriter
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.sharing.stage import Sharing, own_parts
from pipeline.sharing.work import Part, digest

CHUNK = 1024
"""Examples of a chunk: what a stopped indexing loses at most, and what a worker takes at once."""
_PLAN, _BOUNDS = "chunks.json", "bounds"


class Chunks:
    """Work in parts, see `sharing.work.Work`."""

    unit = "examples"

    def __init__(
        self,
        phase: str,
        store: FeatureStore,
        projection: Projection,
        examples: TokenDataset,
        bounds: Sequence[int] = (),
    ) -> None:
        """`bounds`: the first example of each chunk, and the number of all; () = as many chunks
        as the store lacks, beside those that it holds."""
        self.phase, self.folder = phase, store.folder
        self._store, self._projection, self._examples = store, projection, examples
        starts = [*store.starts, *range(store.rows, len(examples), CHUNK)]
        self._bounds = list(bounds) or [*starts, len(examples)]
        self._waiting: set[int] = set()
        """Chunks that are there and wait for an earlier one."""

    @classmethod
    def read(
        cls,
        phase: str,
        store: FeatureStore,
        projection: Projection,
        examples: TokenDataset,
        shared: Path,
    ) -> Chunks:
        """The very chunks that a stage shares in a folder.

        Raises:
            FileNotFoundError: the stage has gone on.
        """
        if (plan := read_object(shared / _PLAN)) is None:
            raise FileNotFoundError(shared / _PLAN)
        return cls(phase, store, projection, examples, plan[_BOUNDS])

    @property
    def parts(self) -> list[Part]:
        """One a chunk."""
        return [(number, 0) for number in range(len(self._bounds) - 1)]

    @property
    def total(self) -> int:
        """All examples."""
        return len(self._examples)

    def id(self, tokens: int) -> str:
        """Names the factors, what the store holds of each example, the chunks and the batches."""
        return digest([self.phase, self._store.tag, self._projection.size, self._bounds])

    def has(self, part: Part) -> bool:
        """Whether the chunk is in the store, or waits for an earlier one."""
        return part[0] < self._store.chunks or part[0] in self._waiting

    def begin(self, shared: Path) -> None:
        """Writes down which examples each chunk holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(shared / _PLAN, {_BOUNDS: self._bounds})

    def collected(self, part: Part) -> None:
        """Takes the chunk into the store, after those before it."""
        self._waiting.add(part[0])
        while (following := self._store.chunks) in self._waiting:
            self._store.take_in(following)
            self._waiting.remove(following)

    @property
    def done(self) -> int:
        """Examples whose chunk is there."""
        lengths = [end - start for start, end in pairwise(self._bounds)]
        return sum(lengths[part[0]] for part in self.parts if self.has(part))

    def fill(self, sharing: Sharing | None, settings: Settings, events: EventWriter) -> None:
        """Does this process's share of the chunks that the store lacks, until it holds all."""
        budget = settings.train.batch_tokens

        def tell(further: int = 0) -> None:
            events.progress(self.done + further, self.total, self.unit, self.phase)

        tell()
        with own_parts(self, sharing, settings, lambda _: tell()) as mine:
            for part in mine:
                self._store.write(part[0], *self._features(part, budget, tell))
                self.collected(part)
                tell()

    def help(self, sharing: Sharing, settings: Settings) -> None:
        """Computes chunks for a stage elsewhere, and publishes them."""
        with own_parts(self, sharing, settings, lambda _: None) as mine:
            for part in mine:
                features = self._features(part, settings.train.batch_tokens, lambda _: None)
                self._store.write(part[0], *features, sharing.place)

    def _features(
        self, part: Part, budget: int, tell: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Features [rows, F] and self-influence [rows] of a chunk's examples; float32."""
        start, end = self._bounds[part[0] : part[0] + 2]
        lengths = self._examples.lengths[start:end]
        features = torch.empty(len(lengths), self._projection.size)
        own = torch.empty(len(lengths))
        done = 0
        for batch in token_budget_batches(lengths, budget):
            padded = pad_batch([self._examples[start + place] for place in batch])
            found = self._projection.features(padded)
            features[batch], own[batch] = (values.cpu() for values in found)
            done += len(batch)
            tell(done)
        return features, own
