"""How far a ranking follows what says nothing about its prompt.

Two rankings that cost nothing stand beside it: the examples by the size of their gradients, and the
ranking of another prompt. What ranks as they do has found long, odd or generally influential
examples, not those that taught this answer. NumPy is imported with this module.

Shape legend: N training examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.errors import UsageError
from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.scores import LAYER, strategy_of
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.words import words

FIRST = 10
"""First examples of two rankings that are compared."""
_CORRELATED = 10_000
"""Examples whose ranks are correlated: with so many a correlation is known to a hundredth."""
_MUCH = 0.8
"""From this rank correlation on a ranking says hardly more than the other."""


@dataclass(frozen=True)
class Agreement:
    """How far two rankings of the same examples agree."""

    correlation: float | None
    """Spearman's, over the examples that have both scores, equal ones at their mean rank; None
    where fewer than two have or all scores of one are equal."""
    shared: int
    """Examples that are among the first ones of both."""
    first: int
    """How many first ones are looked at: 10, or a quarter of the examples where that is fewer: of a
    few examples the first ones are always much the same."""

    @property
    def is_much(self) -> bool:
        """Whether the ranking says hardly more than the other: a correlation of 0.8, or half of the
        first examples in common."""
        correlated = self.correlation is not None and self.correlation >= _MUCH
        return correlated or 2 * self.shared >= max(1, self.first)

    def __str__(self) -> str:
        """`rank correlation 0.12, 1 of the first 10`"""
        known = self.correlation is not None
        correlation = (
            f"rank correlation {self.correlation:z.2f}" if known else "no rank correlation"
        )
        return f"{correlation}, {self.shared} of the first {self.first}"


@dataclass(frozen=True)
class Controls:
    """How far one prompt's ranking agrees with two others."""

    prompt: str
    method: str
    size: Agreement
    """With the examples by the size of their gradients, √self-influence, largest first."""
    other_prompt: str | None
    """The scored prompt that shares the fewest words with this one; None: there is no other."""
    other: Agreement | None
    """With the ranking of that prompt by the same method."""

    def lines(self) -> Iterator[tuple[str, bool]]:
        """What is said of each agreement, and whether it is so large that it is a warning."""
        yield self._line("gradient size alone", self.size)
        if self.other is not None:
            yield self._line(f"the ranking of prompt {self.other_prompt}", self.other)

    def _line(self, what: str, found: Agreement) -> tuple[str, bool]:
        caution = f": this ranking says hardly more than {what}" if found.is_much else ""
        return f"agreement with {what}: {found}{caution}", found.is_much


class ControlReader:
    """Compares the rankings of a run's prompts with those that cost nothing."""

    def __init__(self, file: ScoreFile, prompts: Sequence[Prompt]) -> None:
        self._file = file
        self._prompts = prompts

    def read(self, prompt_id: str, method: str) -> Controls:
        """The controls of a prompt's ranking by a method, or by a layer ("layer 3").

        Gradient sizes are those of the method's own strategy, or of the run's first one where the
        method looks at no gradient.

        Raises:
            UsageError: the prompt was not scored.
            DamagedResultError: the file lacks the strategy's self-influence.
        """
        scored = self._file.metadata.prompts
        if prompt_id not in scored:
            raise UsageError(f"prompt {prompt_id!r} was not scored; valid: {', '.join(scored)}")
        own = self._scores(prompt_id, method)
        strategy = None if method.startswith(LAYER) else strategy_of(method)
        sizes = self._file.self_influence(strategy or self._file.metadata.strategy)
        other = self._unrelated(prompt_id)
        beside = None if other is None else agreement(own, self._scores(other, method))
        return Controls(prompt_id, method, agreement(own, sizes), other, beside)

    def _scores(self, prompt_id: str, method: str) -> Scores:
        row = self._file.metadata.prompts.index(prompt_id)
        if method.startswith(LAYER):
            return self._file.layer(row, int(method.removeprefix(LAYER)))
        return self._file.scores(row, method)

    def _unrelated(self, prompt_id: str) -> str | None:
        """The prompt with the smallest share of common words; of several, the next one."""
        told = self._words
        if prompt_id not in told:
            return None
        own, ids = told[prompt_id], list(told)
        here = ids.index(prompt_id)

        def share(other: str) -> float:
            return len(own & told[other]) / max(1, len(own | told[other]))

        return min([*ids[here + 1 :], *ids[:here]], key=share, default=None)

    @cached_property
    def _words(self) -> Mapping[str, frozenset[str]]:
        """Of every prompt that was scored, with its completion."""
        scored = frozenset(self._file.metadata.prompts)
        return {
            one.id: frozenset(words(f"{one.prompt} {one.completion}"))
            for one in self._prompts
            if one.id in scored
        }


def agreement(first: Scores, second: Scores) -> Agreement:
    """How far two rankings agree, by their scores [N], NaN = missing.

    Of more than 10,000 examples every second, third, … is correlated, so that no more are left.
    """
    if _lacks_some(first) or _lacks_some(second):
        both = ~(np.isnan(first) | np.isnan(second))
        first, second = first[both], second[both]
    looked_at = min(FIRST, len(first) // 4)
    shared = np.intersect1d(highest_first(first, looked_at), highest_first(second, looked_at))
    some = slice(None, None, 1 + len(first) // _CORRELATED)
    return Agreement(_correlation(first[some], second[some]), len(shared), looked_at)


def _lacks_some(scores: Scores) -> bool:
    """Whether any is NaN: then the highest of them is, too, and needs no list of answers."""
    return bool(np.isnan(scores.max(initial=-np.inf)))


def _correlation(first: Scores, second: Scores) -> float | None:
    if len(first) < 2:
        return None
    ranks = [_mean_ranks(scores) for scores in (first, second)]
    one, other = (each - each.mean() for each in ranks)
    # no `@`: the threads of its library go on waiting, busily, for half a tenth of a second
    lengths = np.sqrt((one * one).sum() * (other * other).sum())
    return float((one * other).sum() / lengths) if lengths > 0 else None


def _mean_ranks(scores: Scores) -> NDArray[np.float64]:
    """Ranks [N], lowest first; equal scores share the mean of theirs."""
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = last - (counts - 1) / 2
    return means[which]
