"""Retrieval metrics of rankings: how well they find the documents known to be relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.scores import Retrieval
from pipeline.contract.settings.prompts import Prompt

K = 5


def evaluate(
    prompts: Sequence[Prompt],
    documents: Sequence[str],
    methods: Mapping[str, Scores],
    k: int = K,
) -> dict[str, Retrieval]:
    """`Retrieval` of every method; {} if no prompt names a document of the corpus.

    `documents`: the examples' document ids [N]; `methods`: scores [prompts, N] by name, NaN =
    missing. A document counts once, with the rank of its best chunk.
    """
    corpus = set(documents)
    known = {
        row: relevant
        for row, prompt in enumerate(prompts)
        if (relevant := corpus.intersection(prompt.relevant))
    }
    if not known:
        return {}
    return {
        method: _retrieval(
            [(ranked_documents(scores[row], documents), known[row]) for row in known], k
        )
        for method, scores in methods.items()
    }


def ranked_documents(scores: Scores, documents: Sequence[str]) -> list[str]:
    """Document ids, best first, each once; examples without a score are left out."""
    return list(dict.fromkeys(documents[index] for index in highest_first(scores)))


def _retrieval(ranked: Sequence[tuple[list[str], set[str]]], k: int) -> Retrieval:
    recalls, reciprocals, firsts = [], [], []
    for documents, relevant in ranked:
        ranks = [rank for rank, document in enumerate(documents, 1) if document in relevant]
        recalls.append(sum(rank <= k for rank in ranks) / len(relevant))
        reciprocals.append(1 / ranks[0] if ranks else 0.0)
        firsts.append(bool(ranks) and ranks[0] == 1)
    return Retrieval(
        recall=float(np.mean(recalls)),
        k=k,
        mrr=float(np.mean(reciprocals)),
        top1=float(np.mean(firsts)),
    )
