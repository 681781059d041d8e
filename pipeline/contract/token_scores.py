"""How the scores of an example's positions are told as scores of its tokens."""

from __future__ import annotations

from collections.abc import Sequence


def by_predicted_token(scores: Sequence[float]) -> list[float]:
    """Scores [T] of positions as scores [T] of the tokens that they predict.

    A position reads its own token and predicts the next one, whose loss is what it learns from:
    in "… is a tanner" the fact is learnt where "a" is read. The first token is predicted by none,
    the last position predicts nothing and has a score of 0, so the sum stays the same.
    """
    return [0.0, *scores[:-1]]
