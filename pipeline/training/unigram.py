"""The loss of a unigram model, which knows token frequencies alone: a bar for every model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.examples import IGNORED, TokenDataset


def unigram_loss(training: TokenDataset, held_out: TokenDataset, vocabulary: int) -> float | None:
    """Mean cross-entropy of the held-out tokens under the training tokens' frequencies.

    One is added to the count of every token of the vocabulary (Laplace smoothing). Only tokens
    that carry loss count: first tokens never do.

    Returns:
        nats/token; None where nothing is held out.
    """
    if not len(held_out):
        return None
    counts = 1.0 + _counts(training, vocabulary)
    targets = _counts(held_out, vocabulary)
    return float(-targets @ np.log(counts / counts.sum()) / targets.sum())


def _counts(dataset: TokenDataset, vocabulary: int) -> NDArray[np.float64]:
    counts = np.zeros(vocabulary)
    for index in range(len(dataset)):
        labels = dataset[index]["labels"].numpy()
        np.add.at(counts, labels[labels != IGNORED], 1.0)
    return counts
