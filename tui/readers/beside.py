"""Two rankings of examples side by side: each example's rank in both, and how alike they are.

NumPy is imported with this module: the screen imports it when two rankings are compared.

Shape legend: N examples of one ranking, C examples that both have a rank for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.run.run_dir import RunDir
from tui.readers.listing import Listing
from tui.readers.sources import ScoredExamples, TokenSource

TOP = 10
"""First examples whose overlap is told; an example that moved by more places is marked."""

Ranks = NDArray[np.int32]


@dataclass(frozen=True)
class Ranked:
    """A ranking of a run."""

    run: RunDir
    source: TokenSource
    scored: ScoredExamples
    answers: tuple[GreedyAnswer, ...]
    prompt_id: str
    name: str

    @property
    def answer(self) -> GreedyAnswer:
        """The prompt, and what is traced."""
        return next(answer for answer in self.answers if answer.id == self.prompt_id)

    def listing(self, reverse: bool = False) -> Listing:
        """Its examples, highest first.

        Raises:
            MissingResultError: the prompt was not scored.
        """
        ranking = self.scored.ranking(self.prompt_id, self.name)
        relevant = self.scored.relevant(self.prompt_id)
        return Listing(self.scored.corpus, ranking, relevant, reverse=reverse)


@dataclass(frozen=True)
class Agreement:
    """How alike two rankings are."""

    correlation: float | None
    """Spearman's, over the examples that both rank; None for fewer than two."""
    common: int
    """Examples that both rank."""
    top_common: int
    """Of the first ten of one, those that are among the first ten of the other."""


@dataclass(frozen=True)
class Side:
    """One of the two rankings, with every example's rank in the other."""

    listing: Listing
    elsewhere: Ranks
    """[N], by position; 0: it has no rank there."""

    def moved(self, line: int) -> int | None:
        """By how many places the example stands lower in the other ranking, below 0 if it stands
        higher; None: it has a rank only here."""
        there = int(self.elsewhere[self.listing.position(line)])
        return there - self.listing.rank(line) if there else None

    def differs(self, line: int) -> bool:
        """Whether the example is only here, or moved by more than `TOP` places."""
        moved = self.moved(line)
        return moved is None or abs(moved) > TOP

    def next_difference(self, line: int, step: int) -> int | None:
        """The next line, or with -1 the one before, whose example differs."""
        beyond = range(line + step, len(self.listing) if step > 0 else -1, step)
        return next((at for at in beyond if self.differs(at)), None)


def sides(left: Listing, right: Listing) -> tuple[Side, Side]:
    """Both rankings; where they are of two corpora, examples are the same whose ids are."""
    to_right = _same(left, right)
    to_left = np.full(len(right.corpus), -1, np.intp)
    known = to_right >= 0
    to_left[to_right[known]] = np.flatnonzero(known)
    return (
        Side(left, _looked_up(right.ranking.ranks, to_right)),
        Side(right, _looked_up(left.ranking.ranks, to_left)),
    )


def agreement(left: Side) -> Agreement:
    """How alike the rankings are, of which `left` is one."""
    here, there = left.listing.ranking.ranks, left.elsewhere
    both = (here > 0) & (there > 0)
    common = int(np.count_nonzero(both))
    top = both & (here <= TOP) & (there <= TOP)
    return Agreement(
        _correlation(here[both], there[both]) if common > 1 else None,
        common,
        int(np.count_nonzero(top)),
    )


def _looked_up(ranks: Ranks, positions: NDArray[np.intp]) -> Ranks:
    found = ranks[np.maximum(positions, 0)] if len(ranks) else np.zeros(len(positions), np.int32)
    return np.where(positions >= 0, found, 0).astype(np.int32)


def _same(left: Listing, right: Listing) -> NDArray[np.intp]:
    """Where each example of the left corpus is in the right one; -1: nowhere."""
    if left.corpus is right.corpus:
        return np.arange(len(left.corpus))
    position_of = {name: position for position, name in enumerate(right.corpus.ids())}
    found = (position_of.get(name, -1) for name in left.corpus.ids())
    return np.fromiter(found, np.intp, len(left.corpus))


def _correlation(first: Ranks, second: Ranks) -> float:
    """Spearman's rank correlation, of ranks that have gaps where examples are left out."""
    a, b = (np.argsort(np.argsort(ranks)).astype(np.float64) for ranks in (first, second))
    a -= a.mean()
    b -= b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
