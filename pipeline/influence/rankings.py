"""Rankings as a table: the top and bottom examples of every prompt and method.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.contract.settings.prompts import Prompt

Scores = NDArray[np.float32]

_EXAMPLE_COLUMNS = (
    "example_id",
    "document_id",
    "chunk",
    "chunks",
    "text",
    "n_tokens",
    "duplicate_group",
    "source",
    "row",
)


def ranked(scores: Scores) -> NDArray[np.intp]:
    """Example indices [≤ N], highest score first, equal ones in corpus order; NaN left out."""
    order = np.argsort(-scores, kind="stable")
    return order[: np.count_nonzero(~np.isnan(scores))]


def ranking_table(
    prompts: Sequence[Prompt], examples: pa.Table, methods: Mapping[str, Scores], top: int
) -> pa.Table:
    """The `top` highest and lowest examples of each prompt and method, with all their scores.

    `methods` are scores [Q, N]. Rank 1 is the most extreme of its end. A missing score is null;
    `relevant` is null where the prompt names no relevant documents.
    """
    rows = [
        (query, name, end, rank, example)
        for query in range(len(prompts))
        for name, scores in methods.items()
        for end, order in _ends(ranked(scores[query]), top)
        for rank, example in enumerate(order, start=1)
    ]
    query, method, end, rank, example = (np.array(column) for column in zip(*rows, strict=True))
    scores_there = {name: scores[query, example] for name, scores in methods.items()}
    columns = {
        "prompt_id": pa.array([prompts[index].id for index in query], pa.string()),
        "method": pa.array(method, pa.string()),
        "end": pa.array(end, pa.string()),
        "rank": pa.array(rank, pa.int32()),
        "score": pa.array(
            [methods[name][q, e] for name, q, e in zip(method, query, example, strict=True)],
            pa.float32(),
        ),
    }
    taken = examples.select(_EXAMPLE_COLUMNS).take(pa.array(example))
    columns |= {name: taken[name] for name in _EXAMPLE_COLUMNS}
    columns["relevant"] = _relevance([prompts[index] for index in query], taken["document_id"])
    columns |= {
        f"score_{name}": pa.array(values, pa.float32(), mask=np.isnan(values))
        for name, values in scores_there.items()
    }
    return pa.table(columns)


def _ends(order: NDArray[np.intp], top: int) -> tuple[tuple[str, NDArray[np.intp]], ...]:
    return ("top", order[:top]), ("bottom", order[::-1][:top])


def _relevance(prompts: Sequence[Prompt], documents: pa.ChunkedArray) -> pa.Array:
    relevant = [
        document in prompt.relevant if prompt.relevant else None
        for prompt, document in zip(prompts, documents.to_pylist(), strict=True)
    ]
    return pa.array(relevant, pa.bool_())
