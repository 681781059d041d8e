"""The first examples for one and the same prompt in the rankings of several runs.

NumPy is imported when the rankings are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir
from tui.readers.ranking_reader import RankingReader, RankingsOverview

if TYPE_CHECKING:
    from tui.readers.scores import Scored

TOP = 50
"""First examples that are compared."""
_EXCERPT = 300


@dataclass(frozen=True)
class CommonPrompt:
    """A prompt with its completion that every run traces, and its id in each of them."""

    prompt: str
    completion: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class RankedBeside:
    """An example at a rank of one run."""

    example_id: str
    text: str
    """Its beginning."""
    relevant: bool
    """Whether it is known to state the answer."""
    moved: int | None
    """Ranks that it stands higher than in the first run; None where it is not among the first ones
    there. Of the first run itself: 0 where every other run has it among the first ones, else
    None."""


@dataclass(frozen=True)
class RankedRuns:
    """The rankings side by side."""

    methods: tuple[str, ...]
    """By which each run ranks: the first run's own where all have that, else each its own."""
    ranks: tuple[tuple[RankedBeside | None, ...], ...]
    """A row a rank, a column a run; None where a run ranks fewer."""
    shared: int
    """Of the first ten, those that every run has among its first ten."""


class RankingsBeside:
    """Reads the rankings of some runs."""

    def __init__(self, runs: Sequence[RunDir]) -> None:
        """Raises HeadwaterError where a run has no rankings that can be read."""
        self._readers = [RankingReader(run) for run in runs]
        self._overviews = [
            _overview(run, one) for run, one in zip(runs, self._readers, strict=True)
        ]
        self._scored: list[Scored] | None = None
        self._lock = Lock()

    @property
    def stale(self) -> list[bool]:
        """Of which runs settings or inputs have changed since."""
        return [overview.stale for overview in self._overviews]

    def prompts(self) -> list[CommonPrompt]:
        """The prompts that all runs trace with the same completion, in the first run's order."""
        ids = [
            {(one.prompt, one.completion): one.id for one in overview.answers}
            for overview in self._overviews
        ]
        common = [key for key in ids[0] if all(key in others for others in ids[1:])]
        return [CommonPrompt(*key, tuple(found[key] for found in ids)) for key in common]

    def ranked(self, prompt: CommonPrompt) -> RankedRuns:
        """The first examples of every run for a prompt.

        Raises:
            MissingResultError, DamagedResultError: a run's scores of it cannot be read.
        """
        with self._lock:  # nobody may want an earlier prompt any more, but its thread goes on
            return self._ranked(prompt)

    def _ranked(self, prompt: CommonPrompt) -> RankedRuns:
        if self._scored is None:
            self._scored = [reader.scored() for reader in self._readers]
        methods = self._methods()
        runs = list(zip(self._scored, prompt.ids, methods, strict=True))
        columns = [_first(scored, id, method) for scored, id, method in runs]
        places = [{example[0]: rank for rank, example in enumerate(column)} for column in columns]
        beside = [
            [RankedBeside(*example, _moved(example[0], rank, n, places)) for rank, example in rows]
            for n, rows in enumerate(map(enumerate, columns))
        ]
        ranks = tuple(
            tuple(column[rank] if rank < len(column) else None for column in beside)
            for rank in range(max(map(len, beside)))
        )
        first_ten = [{example[0] for example in column[:10]} for column in columns]
        return RankedRuns(methods, ranks, len(set.intersection(*first_ten)))

    def _methods(self) -> tuple[str, ...]:
        own = self._overviews[0].default_method
        if all(own in overview.methods for overview in self._overviews):
            return (own,) * len(self._overviews)
        return tuple(overview.default_method for overview in self._overviews)


def _overview(run: RunDir, reader: RankingReader) -> RankingsOverview:
    try:
        return reader.overview()
    except HeadwaterError as error:
        raise type(error)(f"run {run.name}: {error.message}", error.hint) from error


def _first(scored: Scored, prompt_id: str, method: str) -> list[tuple[str, str, bool]]:
    """Id, beginning and relevance of the first examples."""
    relevant = scored.relevant(prompt_id)
    positions = scored.ranking(prompt_id, method).first(TOP).tolist()
    corpus = scored.corpus
    return [(corpus.example(p).id, corpus.text(p, _EXCERPT), p in relevant) for p in positions]


def _moved(example_id: str, rank: int, run: int, places: Sequence[dict[str, int]]) -> int | None:
    if run == 0:
        return 0 if all(example_id in others for others in places[1:]) else None
    before = places[0].get(example_id)
    return None if before is None else before - rank
