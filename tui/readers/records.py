"""Ranked examples as plain records, for files that other programs read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.answers import GreedyAnswer
from tui.readers.listing import Listing
from tui.readers.sources import ScoredExamples

Record = dict[str, object]
_BLOCK = 20_000
"""Examples that are looked up at once."""


def columns(scored: ScoredExamples) -> dict[str, type]:
    """The columns of a record and what they hold, in their order; any value may be None."""
    return {
        "prompt_id": str,
        "prompt": str,
        "completion": str,
        "ranked_by": str,
        "rank": int,
        "score": float,
        "example_id": str,
        "document_id": str,
        "chunk": int,
        "chunks": int,
        "n_tokens": int,
        "duplicate_group": int,
        "relevant": bool,
        "source": str,
        "row": int,
        **{f"score_{name}": float for name in scored.methods},
        "text": str,
    }


def records(
    scored: ScoredExamples, answer: GreedyAnswer, listing: Listing, positions: np.ndarray
) -> Iterator[Record]:
    """One record an example, in the order of `positions`.

    `relevant` is None where nothing is known of any example; a rank or score is None where the
    example has none.
    """
    ranking, corpus = listing.ranking, scored.corpus
    methods = {f"score_{name}": scored.scores(answer.id, name) for name in scored.methods}
    for begin in range(0, len(positions), _BLOCK):
        block = positions[begin : begin + _BLOCK]
        rows = zip(
            corpus.examples(block),
            ranking.ranks[block].tolist(),
            _numbers(ranking.scores[block]),
            *(_numbers(scores[block]) for scores in methods.values()),
            strict=True,
        )
        for example, rank, score, *others in rows:
            yield {
                "prompt_id": answer.id,
                "prompt": answer.prompt,
                "completion": answer.completion,
                "ranked_by": ranking.name,
                "rank": rank or None,
                "score": score,
                "example_id": example.id,
                "document_id": example.document_id,
                "chunk": example.chunk,
                "chunks": example.chunks,
                "n_tokens": example.n_tokens,
                "duplicate_group": None if example.group < 0 else example.group,
                "relevant": example.position in listing.relevant if listing.relevant else None,
                "source": example.source,
                "row": example.row,
                **dict(zip(methods, others, strict=True)),
                "text": corpus.text(example.position),
            }
        scored.forget_pages()


def _numbers(values: NDArray[np.float32]) -> list[float | None]:
    return [value if value == value else None for value in values.tolist()]  # NaN: None
