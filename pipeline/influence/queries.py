"""What is asked, as tokens: a row for each prompt, then one for each completion set against one.

A prompt with another completion asks for a difference, loss(completion) − loss(other). Influence
is linear in the loss that is asked about, so both rows are scored as any other, and the prompt's
scores are the first's minus the second's: exact for whatever is linear in the prompt's gradient.

Shape legend: Q prompts, K of them with another completion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.corpus.examples import TokenDataset


class Queries(TokenDataset):
    """Rows [Q + K]: prompts in their order, then the other completions in that of their prompts."""

    def __init__(
        self,
        tokens: Sequence[NDArray[np.int32]],
        labels: Sequence[NDArray[np.int32]] | None = None,
    ) -> None:
        super().__init__(tokens, labels)
        self.contrasted: tuple[int, ...] = ()
        """Prompts with another completion [K], by their rows."""


def differences(queries: TokenDataset, rows: Tensor) -> Tensor:
    """Of rows [Q + K, …], a prompt's minus its other completion's; [Q, …].

    Rows of other token sequences than `Queries` come back as they are.
    """
    contrasted = queries.contrasted if isinstance(queries, Queries) else ()
    if not contrasted:
        return rows
    prompts = len(queries) - len(contrasted)
    # not in half precision: the two are often close to each other
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    found = rows[:prompts].clone()
    found[list(contrasted)] -= rows[prompts:]
    return found
