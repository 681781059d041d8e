"""Losses of a model as it stands, and whether what was saved is what was trained."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from pipeline.batches import token_budget_batches
from pipeline.contract.errors import ModelError
from pipeline.corpus.examples import IGNORED, TokenDataset, pad_batch
from pipeline.model import load_model

_SAMPLE = 200
_TOLERATED = 1e-4
"""Relative difference of two losses of the same float32 weights: sums in another order differ by
less than a hundredth of it."""


@torch.no_grad()
def mean_loss(model: nn.Module, dataset: TokenDataset, budget: int) -> float | None:
    """Mean loss in nats per labelled token, without dropout; None where there is none to predict.

    `budget`: most tokens of a batch.
    """
    device = next(model.parameters()).device
    model.train(False)
    total, labels = 0.0, 0
    for rows in token_budget_batches(dataset.lengths, budget):
        batch = pad_batch([dataset[row] for row in rows])
        wanted = batch["labels"][:, 1:].to(device)
        ids, mask = (batch["input_ids"].to(device), batch["attention_mask"].to(device))
        output = model(input_ids=ids, attention_mask=mask, use_cache=False)
        logits = output.logits[:, :-1].float()
        loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum")
        total += float(loss)
        labels += int((wanted != IGNORED).sum())
    return total / labels if labels else None


def sampled(dataset: TokenDataset) -> TokenDataset:
    """At most 200 of the examples, evenly spaced."""
    count = min(len(dataset), _SAMPLE)
    return dataset.subset([number * len(dataset) // count for number in range(count)])


class SavedModelCheck:
    """Compares a model with what its folder gives back, by the loss of one batch."""

    def __init__(self, model: nn.Module, dataset: TokenDataset, budget: int) -> None:
        """Takes the loss of the model before it is saved; `budget`: tokens of the batch."""
        first = next(iter(token_budget_batches(dataset.lengths, budget)), [])
        self._batch, self._budget = dataset.subset(first), budget
        self._before = mean_loss(model, self._batch, budget)

    def require_same(self, folder: Path, device: torch.device) -> None:
        """Loads the folder, as every later stage will.

        Raises:
            ModelError: the loss is another.
        """
        after = mean_loss(load_model(folder, device), self._batch, self._budget)
        if self._before is None or after is None:
            return
        if not math.isclose(self._before, after, rel_tol=_TOLERATED, abs_tol=_TOLERATED):
            raise ModelError(
                f"the model in {folder} is not the one that was saved there: the loss of one batch "
                f"was {self._before:.4f} before and is {after:.4f} nats a token after loading it",
                "transformers does not save this architecture as it loads it: convert the model "
                "with the library that made it, or take another version of transformers",
            )
