"""One of Kronfluence's passes over examples, as this project runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pipeline.sharing.work import Part, digest


@dataclass(frozen=True)
class Pass:
    """One of Kronfluence's passes over examples; each partition is saved as it finishes."""

    phase: str
    """Name of the pass in progress events and messages."""
    folder: Path
    """Where Kronfluence saves the result."""
    exists: Callable[..., bool]
    """Kronfluence's check whether the result, or one partition of it, has been saved."""
    setting: str
    """Prefix of the partition settings: "scores." for scores.data_partitions."""
    examples: int
    longest: int = 1
    """Tokens of the longest example: the smallest token budget of a batch."""
    data_partitions: int = 1
    module_partitions: int = 1
    repeats: int = 1
    """Number of passes over all examples, one after another."""
    matrix_bytes: int = 0
    """Bytes of factors and prompt gradients of all modules, beside the model and a batch."""

    arguments: dict[str, str] | None = None
    """Kronfluence's, which later changes its own, of a pass that other workers may share; None =
    this process alone does it."""

    @property
    def unit(self) -> str:
        """What a pass goes through."""
        return "examples"

    @property
    def parts(self) -> list[Part]:
        """The partitions, in the order in which they are merged."""
        return list(product(range(self.data_partitions), range(self.module_partitions)))

    @property
    def total(self) -> int:
        """Examples to process, counted once for each repeat and module partition."""
        return self.examples * self.module_partitions * self.repeats

    @property
    def done(self) -> int:
        """How many of `total` earlier attempts have saved."""
        if self.exists(output_dir=self.folder):
            return self.total
        if self.data_partitions * self.module_partitions == 1:
            return 0  # a pass in one partition is saved as a whole, or not at all
        return self.total * sum(map(self.has, self.parts)) // len(self.parts)

    def has(self, part: Part) -> bool:
        """Whether the partition has been saved."""
        return self.exists(output_dir=self.folder, partition=part)

    def id(self, tokens: int) -> str:
        """Names the pass together with all that decides its bits, at this token budget."""
        decides = [
            self.phase,
            self.arguments,
            tokens,
            self.examples,
            self.longest,
            self.data_partitions,
            self.module_partitions,
            self.repeats,
            self.matrix_bytes,
        ]
        return digest(decides)

    def begin(self, shared: Path) -> None:
        """Nothing is to be put down: the settings say all of a pass."""

    def collected(self, part: Part) -> None:
        """Nothing is to be done: Kronfluence finds the files in `folder`."""
