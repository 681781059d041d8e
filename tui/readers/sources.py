"""What a ranking's screens need of examples and scores, wherever these come from: the files of the
scores stage, or a question's answer.

Shape legend: N examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.examples import Turn
from pipeline.contract.results.lookup import Example, Mask, Positions
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.tokens import TokenScores
from tui.readers.scores import ModuleScores, Ranking, Standing


class Examples(Protocol):
    """Examples by their position."""

    n_tokens: NDArray[np.int32]
    groups: NDArray[np.int32]

    def __len__(self) -> int: ...

    def example(self, position: int) -> Example:
        """One without its text."""

    def examples(self, positions: NDArray[np.integer]) -> Iterator[Example]:
        """Many, as `example`."""

    def ids(self) -> list[str]:
        """All ids, in their order."""

    @property
    def id_length(self) -> int:
        """The room that a column of ids needs."""

    def text(self, position: int, limit: int | None = None) -> str:
        """Its text, or the first `limit` bytes of that."""

    def document(self, position: int) -> Positions:
        """The examples of its document that are known here."""

    def duplicates(self, position: int) -> Positions:
        """Its near-duplicates that are known here."""

    def holding(self, word: str) -> Mask:
        """Which examples [N] hold a word, or one that it is a part of."""

    def named(self, part: str) -> NDArray[np.integer]:
        """Examples whose ids contain a text."""


class ScoredExamples(Protocol):
    """Examples, and their scores for some prompts by some methods."""

    @property
    def corpus(self) -> Examples:
        """The examples."""

    @property
    def names(self) -> list[str]:
        """Whatever examples can be ranked by."""

    @property
    def methods(self) -> Sequence[str]:
        """Of these, the methods."""

    def scores(self, prompt_id: str, name: str) -> Scores:
        """Scores [N]."""

    def ranking(self, prompt_id: str, name: str) -> Ranking:
        """All examples, highest first."""

    def standings(self, prompt_id: str, position: int) -> Iterator[Standing]:
        """Where an example stands by every method."""

    def across(self, name: str, position: int) -> Iterator[Standing]:
        """Where it stands for every prompt."""

    def relevant(self, prompt_id: str) -> frozenset[int]:
        """Examples that are known to state the answer."""

    def taught(self, prompt_id: str) -> bool | None:
        """Whether they taught the answer, as far as their scores tell; None: they do not."""

    def modules(self, prompt_id: str, name: str, position: int) -> ModuleScores | None:
        """The parts of a raw score, where they are kept."""

    def forget_pages(self) -> None:
        """Lets go of memory that looking took."""


class TokenSource(Protocol):
    """What is known of an example's tokens."""

    def tokens(self, prompt_id: str, example_id: str) -> TokenScores | None:
        """What predicting each adds to the score."""

    def turns(self, position: int) -> tuple[Turn, ...]:
        """Who says what."""
