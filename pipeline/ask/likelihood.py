"""How likely the model finds a text, token by token, and a prompt beside texts of the corpus.

Shape legend: S texts, T tokens of the longest of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from pipeline.contract.results.examples import read_tokens
from pipeline.contract.results.index import TextLosses
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.replies import PromptLoss
from pipeline.contract.run.run_dir import RunDir

LOSSES = "losses to compare prompts with"
"""Its name in progress events."""
TEXTS = 200
"""Texts that are drawn: a share of them is known to about 3 percent points."""
_LEAST_HELD_OUT = 100
"""Held-out texts from which on these are taken: fewer say too little of a percentile."""
_LONGEST = 512
"""Tokens of a text that are looked at."""
_SEED = 0
"""Of the drawing."""


@torch.inference_mode()
def token_losses(model: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """−ln p of every token but the first, given those before it; float32 [T - 1] on the CPU."""
    ids = torch.tensor([tokens], device=model.device)
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    losses: Tensor = functional.cross_entropy(logits[0, :-1].float(), ids[0, 1:], reduction="none")
    return losses.cpu()


def text_losses(run: RunDir, model: PreTrainedModel, events: EventWriter) -> TextLosses:
    """Losses of some held-out texts, or of training texts where too few are held out.

    Raises:
        MissingResultError, DamagedResultError: the examples cannot be read.
    """
    held_out = read_tokens(run, run.validation)
    texts = held_out if len(held_out) >= _LEAST_HELD_OUT else read_tokens(run)
    chosen = np.random.default_rng(_SEED).permutation(len(texts))[:TEXTS]
    rows = [texts[index][:_LONGEST].tolist() for index in chosen if len(texts[index]) > 1]
    losses = np.full((len(rows), max(map(len, rows), default=1) - 1), np.nan, np.float32)
    for number, row in enumerate(rows):
        losses[number, : len(row) - 1] = token_losses(model, row).numpy()
        events.progress(number + 1, len(rows), "texts", LOSSES)
    return TextLosses(losses, texts is held_out)


def beside_texts(prompt: NDArray[np.float32], texts: TextLosses) -> PromptLoss | None:
    """A prompt's losses [T - 1] beside those of texts that are as long; the first tokens of a text
    are harder to predict than later ones, so that only as many are compared.

    Of a prompt that is longer than half of the texts, only as many tokens as these have. None where
    nothing can be compared: a prompt of one token, or no texts.
    """
    lengths = np.count_nonzero(~np.isnan(texts.losses), axis=1)
    if not len(prompt) or not len(lengths):
        return None
    count = min(len(prompt), int(np.median(lengths)))
    means = texts.losses[lengths >= count, :count].mean(axis=1)
    loss = float(prompt[:count].mean())
    share = float(np.mean(means < loss))
    return PromptLoss(loss, count, share, len(means), texts.held_out)
