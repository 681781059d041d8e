"""The examples behind the answer to a question, as the screens of rankings read examples.

NumPy is imported with this module: the screen imports it when a list has come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.examples import Turn
from pipeline.contract.results.lookup import Example, Mask, Positions
from pipeline.contract.results.ranks import Scores, rank_of
from pipeline.contract.results.tokens import TokenScores
from pipeline.contract.run.replies import AskedExample, ExampleTokens
from tui.readers.scores import ModuleScores, Ranking, Standing

ASKED = "asked"
"""The id of the one prompt."""


class AskedExamples:
    """The rows of a list, by their place in it."""

    def __init__(self, rows: Sequence[AskedExample]) -> None:
        self._rows = rows
        self.n_tokens = np.array([row.n_tokens for row in rows], np.int32)
        self.groups = np.array([row.duplicate_group for row in rows], np.int32)
        self.position_of = {row.example_id: place for place, row in enumerate(rows)}
        """By the examples' ids."""

    def __len__(self) -> int:
        return len(self._rows)

    def example(self, position: int) -> Example:
        """One without its text."""
        row = self._rows[position]
        return Example(
            position=position,
            id=row.example_id,
            document_id=row.document_id,
            chunk=row.chunk,
            chunks=row.chunks,
            n_tokens=row.n_tokens,
            group=row.duplicate_group,
            source=row.source,
            row=row.row,
        )

    def examples(self, positions: NDArray[np.integer]) -> Iterator[Example]:
        """Many, as `example`."""
        return map(self.example, positions.tolist())

    def ids(self) -> list[str]:
        """All ids, in their order."""
        return [row.example_id for row in self._rows]

    @property
    def id_length(self) -> int:
        """Letters of the longest id."""
        return max((len(row.example_id) for row in self._rows), default=0)

    def text(self, position: int, limit: int | None = None) -> str:
        """Its text, or the first `limit` bytes of that."""
        text = self._rows[position].text
        return text if limit is None else text.encode()[:limit].decode("utf-8", "replace")

    def document(self, position: int) -> Positions:
        """The examples of its document that are in the list, in their order there."""
        own = self._rows[position].document_id
        chunks = [(row.chunk, place) for place, row in enumerate(self._rows)
                  if row.document_id == own]  # fmt: skip
        return np.array([place for _, place in sorted(chunks)], np.intp)

    def duplicates(self, position: int) -> Positions:
        """Its near-duplicates that are in the list."""
        same = np.flatnonzero((self.groups == self.groups[position]) & (self.groups >= 0))
        others: Positions = same[same != position]
        return others

    def holding(self, word: str) -> Mask:
        """Which examples hold a word, or one that it is a part of."""
        return np.array([word.casefold() in row.text.casefold() for row in self._rows], bool)

    def named(self, part: str) -> NDArray[np.integer]:
        """Examples whose ids contain a text, in any case."""
        wanted = part.casefold()
        found = [place for place, row in enumerate(self._rows)
                 if wanted in row.example_id.casefold()]  # fmt: skip
        return np.array(found, np.intp)


class Asked:
    """The scores of a list: the run's own ranking, and the raw influence."""

    def __init__(
        self,
        rows: Sequence[AskedExample],
        names: Sequence[str],
        tokens: Mapping[str, ExampleTokens],
        taught: bool | None,
    ) -> None:
        """`names`: what a score is called; and, if that is another, the raw influence. `tokens` by
        the examples' ids; more may come later."""
        self.corpus = AskedExamples(rows)
        self.names = self.methods = list(names)
        columns = ([row.score for row in rows], [row.raw for row in rows])
        self._scores = {
            name: np.array(values, np.float32) for name, values in zip(names, columns, strict=False)
        }
        self._tokens, self._taught = tokens, taught

    def scores(self, _prompt_id: str, name: str) -> Scores:
        """Scores of the list."""
        return self._scores[name]

    def ranking(self, prompt_id: str, name: str) -> Ranking:
        """The list, highest first."""
        scores = self._scores[name]
        return Ranking(prompt_id, name, scores)

    def standings(self, _prompt_id: str, position: int) -> Iterator[Standing]:
        """Where an example stands by either score."""
        for name, scores in self._scores.items():
            yield Standing(name, float(scores[position]), rank_of(scores, position))

    def across(self, name: str, position: int) -> Iterator[Standing]:
        """Where it stands for the one prompt."""
        scores = self._scores[name]
        yield Standing(ASKED, float(scores[position]), rank_of(scores, position))

    def relevant(self, _prompt_id: str) -> frozenset[int]:
        """Nobody knows what states the answer to a new question."""
        return frozenset()

    def taught(self, _prompt_id: str) -> bool | None:
        """As the worker says, who has the scores of all examples."""
        return self._taught

    def modules(self, _prompt_id: str, _name: str, _position: int) -> ModuleScores | None:
        """A worker does not keep them apart."""
        return None

    def forget_pages(self) -> None:
        """Everything is small."""

    def tokens(self, _prompt_id: str, example_id: str) -> TokenScores | None:
        """What predicting each token adds, of the first examples."""
        found = self._tokens.get(example_id)
        return TokenScores(found.tokens, found.scores, found.labelled) if found else None

    def turns(self, _position: int) -> tuple[Turn, ...]:
        """A worker does not say who says what."""
        return ()
