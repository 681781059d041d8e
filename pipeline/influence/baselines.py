"""Baselines without curvature (BM25, gradient cosine), and normalisation by self-influence.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.words import search_terms

Scores = NDArray[np.float32]


def bm25_scores(queries: Sequence[str], texts: Sequence[str]) -> Scores:
    """Okapi BM25 scores [Q, N], float32, as bm25s computes them (Lucene's, k1 1.5, b 0.75).

    Words are lower-cased and at least two letters long; in scripts without blanks, pairs of
    letters. A prompt that shares no word with the corpus has no ranking: its scores are NaN.
    """
    scores = np.full((len(queries), len(texts)), np.nan, dtype=np.float32)
    words = [search_terms(text) for text in texts]
    known = {word for text in words for word in text}
    if not known:  # bm25s cannot index a corpus without words
        return scores
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(words, show_progress=False)
    for row, query in enumerate(map(search_terms, queries)):
        if known.intersection(query):
            scores[row] = index.get_scores(query)
    return scores


def bm25_of_prompts(prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
    """BM25 scores [Q, N] of each prompt with its completion, minus those with the other completion
    where it has one: what is left are the words that only one of the two has.

    NaN where a prompt shares no word with the corpus, and where both sides score all alike.
    """
    others = {row: other for row, prompt in enumerate(prompts) if (other := prompt.other)}
    asked = [f"{one.prompt} {one.completion}" for one in (*prompts, *others.values())]
    scores = bm25_scores(asked, texts)
    found = scores[: len(prompts)].copy()
    for against, row in zip(scores[len(prompts) :], others, strict=True):
        difference = np.nan_to_num(scores[row]) - np.nan_to_num(against)  # no word shared: 0
        found[row] = difference if difference.any() else np.nan
    return found


def cosine(dot: Scores, squared_prompts: Scores, squared_examples: Scores) -> Scores:
    """Cosine similarity [Q, N] of gradients from dot products [Q, N], squared norms [Q] and [N].

    NaN where a gradient is zero.
    """
    return normalized(dot, squared_examples) / _root(squared_prompts)[:, None]


def normalized(scores: Scores, self_influence: Scores) -> Scores:
    """Scores [Q, N] divided by √self-influence [N] (RelatIF, Barshan et al. 2020).

    Examples with large gradients then no longer lead every ranking. NaN (missing, never ranked)
    where the self-influence is zero up to rounding, as for an example whose gradient vanishes.
    """
    return scores / _root(self_influence)


def _root(squares: Scores) -> Scores:
    """√ of each value; NaN for those that are zero up to rounding."""
    with np.errstate(invalid="ignore"):
        # smaller ones are the rounding error of a sum in float32, which may even be negative
        floor = np.float32(1e-12) * np.nanmax(squares, initial=0.0)
        return np.sqrt(np.where(squares > floor, squares, np.nan)).astype(np.float32)
