"""What knowing nothing but how frequent each token is would score: a bar for every model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.examples import TokenDataset


def frequency_loss(training: TokenDataset, held_out: TokenDataset, pieces: int) -> float | None:
    """Mean cross-entropy of the held-out tokens under the training tokens' frequencies.

    One is added to each of the vocabulary's `pieces` (Laplace). First tokens are left out, as in
    every loss here.

    Returns:
        nats/token; None where nothing is held out.
    """
    if not len(held_out):
        return None
    counts = 1.0 + _counts(training, pieces)
    wanted = _counts(held_out, pieces)
    return float(-wanted @ np.log(counts / counts.sum()) / wanted.sum())


def _counts(dataset: TokenDataset, pieces: int) -> NDArray[np.float64]:
    counts = np.zeros(pieces)
    for index in range(len(dataset)):
        np.add.at(counts, dataset[index]["input_ids"][1:].numpy(), 1.0)
    return counts
