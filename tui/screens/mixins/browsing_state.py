"""Where a person was in the rankings, so that newer ones open there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.readers.ranking_reader import Sort

if TYPE_CHECKING:
    from pipeline.contract.results.lookup import Corpus


@dataclass(frozen=True)
class Held:
    """What was chosen, and the ids of the examples that were marked or under the cursor."""

    prompt_id: str
    ranked_by: str
    sort: Sort
    reverse: bool
    words: str
    position: int | None
    marked: frozenset[int]
    ids: dict[int, str]
    is_inside: bool
    """Whether the ranking had the focus, and not the prompts."""

    def marked_in(self, corpus: Corpus) -> frozenset[int]:
        """The marked examples that a corpus has where they were."""
        return frozenset(position for position in self.marked if self._is_at(position, corpus))

    def position_in(self, corpus: Corpus) -> int | None:
        """The example under the cursor, where a corpus has it there."""
        position = self.position
        return position if position is not None and self._is_at(position, corpus) else None

    def _is_at(self, position: int, corpus: Corpus) -> bool:
        return position < len(corpus) and corpus.example(position).id == self.ids[position]
