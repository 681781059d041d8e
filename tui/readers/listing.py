"""What a table of ranked examples shows: all of a ranking, or what a filter leaves, in an order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.contract.results.lookup import Mask
from pipeline.contract.results.ranks import Keys, Order, highest_first, lowest_first
from tui.readers.ranking_reader import Sort
from tui.readers.scores import Ordered, Ranking
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
        self._shown = ranking if mask is None else _masked(ranking, mask)
        self._lines: Ordered = self._shown
        if sort != "score":
            self._lines = _ByKey(self._shown, _keys(corpus, sort))
        self._length = self._shown.count
        if self._length:
            self.position(0)  # puts in order what is shown first, off the screen's thread

    def __len__(self) -> int:
        return self._length

    def rank(self, line: int) -> int:
        """The example's rank in the whole ranking; 1 = highest score."""
        if self._lines is self.ranking:
            return self._mirrored(line) + 1
        rank = self.ranking.rank(self.position(line))
        assert rank is not None  # what has no score has no line
        return rank

    def position(self, line: int) -> int:
        """The example's position in the corpus."""
        return self._lines.position(self._mirrored(line) + 1)

    def line_of_rank(self, rank: int) -> int:
        """The line whose rank comes nearest."""
        if self._lines is self.ranking:
            return self._mirrored(max(0, min(rank, self._length) - 1))
        ranks = self.ranking.ranks[self.positions()]
        return int(np.argmin(np.abs(ranks - rank)))

    def line_of(self, position: int) -> int | None:
        """The line of an example; None where it is not shown."""
        rank = self._shown.rank(position)
        if rank is None:
            return None
        if self._lines is not self._shown:
            rank = int(np.flatnonzero(self._lines.order == position)[0]) + 1
        return self._mirrored(rank - 1)

    def next_relevant(self, line: int, step: int) -> int | None:
        """The next line, or with -1 the one before, whose example states the answer."""
        lines = sorted(
            at for position in self.relevant if (at := self.line_of(position)) is not None
        )
        beyond = [at for at in lines if (at - line) * step > 0]
        return beyond[0 if step > 0 else -1] if beyond else None

    def positions(self) -> Order:
        """All examples in the order of the lines."""
        return self._lines.order[::-1] if self.reverse else self._lines.order

    def _mirrored(self, line: int) -> int:
        return self._length - 1 - line if self.reverse else line


def _masked(ranking: Ranking, mask: Mask) -> Ranking:
    """The ranking of the examples that a mask [N] leaves."""
    return replace(ranking, scores=np.where(mask, ranking.scores, np.float32(np.nan)))


@dataclass(frozen=True)
class _ByKey(Ordered):
    """The examples of a ranking, the lowest key first, equal ones in the order of their ranks."""

    ranking: Ranking
    keys: Keys
    """[N], by position."""

    @cached_property
    def order(self) -> Order:
        """All of them."""
        order = self.ranking.order
        return order[lowest_first(self.keys[order])]

    def first(self, count: int) -> Order:
        """The first of them, for which the others are not put in order."""
        scores = self.ranking.scores
        known = np.flatnonzero(~np.isnan(scores)).astype(np.int32)
        if len(known) <= count:
            return self.order
        keys = self.keys[known]
        bound = np.partition(keys, count)[count]
        before, at = known[keys < bound], known[keys == bound]
        before = before[highest_first(scores[before])]
        at = at[highest_first(scores[at], count - len(before))]
        return np.concatenate([before[lowest_first(self.keys[before])], at])


def _keys(corpus: Examples, sort: Sort) -> Keys:
    """What to sort examples [N] by, lowest first: long before short, groups together."""
    match sort:
        case "tokens":
            return ~corpus.n_tokens.astype(np.uint32)
        case "group":
            return corpus.groups.astype(np.uint32)  # -1, none, becomes the highest
        case _:
            return np.arange(len(corpus), dtype=np.uint32)
