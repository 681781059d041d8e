"""Second opinions without curvature.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]


def bm25_scores(queries: Sequence[str], texts: Sequence[str]) -> Scores:
    """Word overlap [Q, N] by Okapi BM25 as bm25s computes it (Lucene's variant, k1 1.5, b 0.75).

    Words are lower-cased, at least two letters long, in any language. A prompt without a word
    that the corpus knows has no ranking: NaN.
    """
    scores = np.full((len(queries), len(texts)), np.nan, dtype=np.float32)
    words = _words(texts)
    known = {word for text in words for word in text}
    if not known:
        return scores
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(words, show_progress=False)
    for row, query in enumerate(_words(queries)):
        if known.intersection(query):
            scores[row] = index.get_scores(query)
    return scores


def _words(texts: Sequence[str]) -> list[list[str]]:
    words: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords=None, return_ids=False, show_progress=False
    )
    return words


def cosine(dot: Scores, squared_prompts: Scores, squared_examples: Scores) -> Scores:
    """Cosine [Q, N] of gradients from their products [Q, N] and squared norms [Q] and [N].

    NaN where a gradient is zero.
    """
    return normalized(dot, squared_examples) / _root(squared_prompts)[:, None]


def normalized(scores: Scores, self_influence: Scores) -> Scores:
    """Scores [Q, N] divided by √ of the example's self-influence [N] (RelatIF, Barshan et al.
    2020): what an example does to this prompt beside what it does at all.

    NaN (missing, not a number to rank) where the self-influence is not above zero by more than
    rounding, as for an example whose gradient vanishes.
    """
    return scores / _root(self_influence)


def _root(squares: Scores) -> Scores:
    with np.errstate(invalid="ignore"):
        floor = np.float32(1e-12) * np.nanmax(squares, initial=0.0)
        return np.sqrt(np.where(squares > floor, squares, np.nan)).astype(np.float32)
