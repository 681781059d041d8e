"""Everything about one training example as a screen shows it, read in one go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.contract.results.examples import Turn
from pipeline.contract.results.lookup import Example
from pipeline.contract.results.tokens import TokenScores
from tui.readers.listing import Listing
from tui.readers.scores import ModuleScores, Standing
from tui.readers.sources import ScoredExamples, TokenSource

_SHOWN = 200
"""Near-duplicates, or chunks of a document, that are listed."""
_EXCERPT = 400


@dataclass(frozen=True)
class Relative:
    """Another example of the same document or near-duplicate group."""

    position: int
    standing: Standing
    """By the ranking that one came from, under the example's id."""
    excerpt: str


@dataclass(frozen=True)
class Document:
    """What an example was cut from."""

    before: str
    after: str
    chunks: list[Relative]
    """At most 200 of them, around the example."""


@dataclass(frozen=True)
class Detail:
    """One example, as it stands for one prompt."""

    example: Example
    text: str
    standing: Standing
    """By the ranking that one came from."""
    ranked: int
    """Examples that have a rank there."""
    relevant: bool
    tokens: TokenScores | None
    turns: tuple[Turn, ...]
    """Who says what in it; none in plain text."""
    by_method: list[Standing]
    by_prompt: list[Standing]
    modules: ModuleScores | None
    duplicates: list[Relative]
    """At most 200 of them."""
    duplicate_count: int
    document: Document


def detail(reader: TokenSource, scored: ScoredExamples, listing: Listing, position: int) -> Detail:
    """All of it.

    Raises:
        MissingResultError, DamagedResultError: a file of the run cannot be read.
    """
    ranking, corpus = listing.ranking, scored.corpus
    example, duplicates = corpus.example(position), corpus.duplicates(position)
    complete = Detail(
        example=example,
        text=corpus.text(position),
        standing=_standing(listing, position),
        ranked=ranking.count,
        relevant=position in listing.relevant,
        tokens=reader.tokens(ranking.prompt_id, example.id),
        turns=reader.turns(position),
        by_method=list(scored.standings(ranking.prompt_id, position)),
        by_prompt=list(scored.across(ranking.name, position)),
        modules=scored.modules(ranking.prompt_id, ranking.name, position),
        duplicates=_relatives(listing, duplicates[:_SHOWN].tolist()),
        duplicate_count=len(duplicates),
        document=_document(listing, position),
    )
    scored.forget_pages()
    return complete


def _document(listing: Listing, position: int) -> Document:
    chunks = listing.corpus.document(position)
    own = int(np.flatnonzero(chunks == position)[0])
    first = max(0, min(own - _SHOWN // 2, len(chunks) - _SHOWN))
    text = listing.corpus.text
    return Document(
        before="".join(text(int(chunk)) for chunk in chunks[:own]),
        after="".join(text(int(chunk)) for chunk in chunks[own + 1 :]),
        chunks=_relatives(listing, chunks[first : first + _SHOWN].tolist()),
    )


def _relatives(listing: Listing, positions: Iterable[int]) -> list[Relative]:
    return [
        Relative(position, _standing(listing, position), listing.corpus.text(position, _EXCERPT))
        for position in positions
    ]


def _standing(listing: Listing, position: int) -> Standing:
    ranking = listing.ranking
    name = listing.corpus.example(position).id
    return Standing(name, float(ranking.scores[position]), ranking.rank(position))
