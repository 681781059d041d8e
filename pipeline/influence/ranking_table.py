"""Rankings as a table: the top and bottom examples of every prompt and method.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipeline.contract.results.examples import documents_of
from pipeline.contract.results.rankings import EXAMPLE_COLUMNS, Tracer, write_rankings
from pipeline.contract.results.ranks import Order, Scores, highest_first
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt


def save_rankings(
    run: RunDir,
    tracer: Tracer,
    prompts: Sequence[Prompt],
    examples: pa.Table,
    methods: Mapping[str, Scores],
    top: int,
) -> None:
    """Writes the `top` highest and lowest examples of each prompt and method, with all scores.

    `methods` are scores [Q, N]. Rank 1 is the most extreme of its end. A missing score is null;
    `relevant` is null where the prompt names no relevant documents.
    """
    rows = [
        (query, name, end, rank, example)
        for query in range(len(prompts))
        for name, scores in methods.items()
        for end, order in _ends(highest_first(scores[query]), top)
        for rank, example in enumerate(order, start=1)
    ]
    query, method, end, rank, example = (np.array(column) for column in zip(*rows, strict=True))
    of_method = [methods[name][q, e] for name, q, e in zip(method, query, example, strict=True)]
    taken = examples.select(EXAMPLE_COLUMNS).take(pa.array(example))
    values = [
        pa.array([prompts[index].id for index in query], pa.string()),
        pa.array(method, pa.string()),
        pa.array(end, pa.string()),
        pa.array(rank, pa.int32()),
        pa.array(of_method, pa.float32()),
        *taken.columns,
        _relevance([prompts[index] for index in query], documents_of(taken)),
    ]
    scores_there = {name: scores[query, example] for name, scores in methods.items()}
    nullable = {
        name: pa.array(there, pa.float32(), mask=np.isnan(there))
        for name, there in scores_there.items()
    }
    write_rankings(run, tracer, values, nullable)


def _ends(order: Order, top: int) -> tuple[tuple[str, Order], ...]:
    return ("top", order[:top]), ("bottom", order[::-1][:top])


def _relevance(prompts: Sequence[Prompt], documents: Sequence[str]) -> pa.Array:
    relevant = [
        document in prompt.relevant if prompt.relevant else None
        for prompt, document in zip(prompts, documents, strict=True)
    ]
    return pa.array(relevant, pa.bool_())
