"""Ranked examples as plain records, for files that other programs read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tui.readers.listing import Listing
from tui.readers.rankings import Answer
from tui.readers.scores import Scored

Record = dict[str, Any]


def columns(scored: Scored) -> dict[str, type]:
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
    scored: Scored, answer: Answer, listing: Listing, places: np.ndarray
) -> Iterator[Record]:
    """One record an example, in the order of `places`.

    `relevant` is None where nothing is known of any example; a rank or score is None where the
    example has none.
    """
    ranking, corpus = listing.ranking, scored.corpus
    ranks = np.zeros(len(corpus), np.int32)
    ranks[ranking.order] = np.arange(1, len(ranking.order) + 1)
    methods = {f"score_{name}": scored.scores(answer.id, name) for name in scored.methods}
    for place in places.tolist():
        example = corpus.example(place)
        yield {
            "prompt_id": answer.id,
            "prompt": answer.prompt,
            "completion": answer.completion,
            "ranked_by": ranking.name,
            "rank": int(ranks[place]) or None,
            "score": _number(ranking.scores[place]),
            "example_id": example.id,
            "document_id": example.document_id,
            "chunk": example.chunk,
            "chunks": example.chunks,
            "n_tokens": example.n_tokens,
            "duplicate_group": None if example.group < 0 else example.group,
            "relevant": place in listing.relevant if listing.relevant else None,
            "source": example.source,
            "row": example.row,
            **{name: _number(scores[place]) for name, scores in methods.items()},
            "text": corpus.text(place),
        }


def _number(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)
