"""What a table of ranked examples shows: all of a ranking, or what a filter leaves, in an order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.lookup import Mask
from pipeline.contract.results.ranks import lowest_first
from tui.readers.ranking_reader import Sort
from tui.readers.scores import Ranking
from tui.readers.sources import Examples


class Listing:
    """Lines of a table, each with its example's position in the corpus and its rank."""

    def __init__(
        self,
        corpus: Examples,
        ranking: Ranking,
        relevant: frozenset[int] = frozenset(),
        mask: Mask | None = None,
        sort: Sort = "score",
        reverse: bool = False,
    ) -> None:
        """`mask` [N] says which examples are shown; `reverse` turns the order of `sort` around."""
        self.corpus, self.ranking, self.relevant = corpus, ranking, relevant
        self.sort, self.reverse = sort, reverse
        order = ranking.order
        self._at: NDArray[np.intp] | None = None
        """Lines → positions in the ranking; None: they are the same."""
        if mask is not None:
            self._at = np.flatnonzero(mask[order])
        if sort != "score":
            shown = order if self._at is None else order[self._at]
            by_key = lowest_first(_keys(corpus, shown, sort)).astype(np.intp)
            self._at = by_key if self._at is None else self._at[by_key]
        self._length = len(order) if self._at is None else len(self._at)

    def __len__(self) -> int:
        return self._length

    def rank(self, line: int) -> int:
        """The example's rank in the whole ranking; 1 = highest score."""
        at = self._mirrored(line)
        return (at if self._at is None else int(self._at[at])) + 1

    def position(self, line: int) -> int:
        """The example's position in the corpus."""
        return int(self.ranking.order[self.rank(line) - 1])

    def line_of_rank(self, rank: int) -> int:
        """The line whose rank comes nearest."""
        if self._at is None:
            return self._mirrored(max(0, min(rank, self._length) - 1))
        return self._mirrored(int(np.argmin(np.abs(self._at - (rank - 1)))))

    def line_of(self, position: int) -> int | None:
        """The line of an example; None where it is not shown."""
        rank = self.ranking.rank(position)
        line = self.line_of_rank(rank) if rank and len(self) else 0
        return line if len(self) and self.position(line) == position else None

    def next_relevant(self, line: int, step: int) -> int | None:
        """The next line, or with -1 the one before, whose example states the answer."""
        lines = sorted(
            at for position in self.relevant if (at := self.line_of(position)) is not None
        )
        beyond = [at for at in lines if (at - line) * step > 0]
        return beyond[0 if step > 0 else -1] if beyond else None

    def positions(self) -> NDArray[np.int32]:
        """All examples in the order of the lines."""
        positions = self.ranking.order if self._at is None else self.ranking.order[self._at]
        return positions[::-1] if self.reverse else positions

    def _mirrored(self, line: int) -> int:
        return self._length - 1 - line if self.reverse else line


def _keys(corpus: Examples, positions: NDArray[np.int32], sort: Sort) -> NDArray[np.uint32]:
    """What to sort examples by, lowest first: long before short, groups together."""
    match sort:
        case "tokens":
            return ~corpus.n_tokens[positions].astype(np.uint32)
        case "group":
            return corpus.groups[positions].astype(np.uint32)  # -1, none, becomes the highest
        case _:
            return positions.astype(np.uint32)
