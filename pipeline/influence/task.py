"""The language-modelling task that Kronfluence differentiates.

Shape legend: B examples of a batch, T tokens of the longest of them, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from kronfluence.module.utils import set_attention_mask
from kronfluence.task import Task
from torch import Tensor, nn
from torch.nn import functional

from pipeline.corpus.examples import IGNORED, TokenBatch
from pipeline.influence.loss import sample_labels, summed_loss


class LanguageModelingTask(Task):  # type: ignore[misc]
    """Loss summed over labelled tokens, in nats, computed in float32.

    Summed, because influence functions add up over examples (Grosse et al. 2023, section 2);
    labelled tokens only, so prompt tokens and padding never enter.
    """

    def __init__(
        self,
        modules: Sequence[str],
        seed: int,
        on_batch: Callable[[int], None] = lambda examples: None,
        head: nn.Linear | None = None,
    ) -> None:
        """Tracks `modules`; calls `on_batch` with the size of every batch of training examples.

        `head`: the model's `vocabulary_projection`; with it only labelled positions are projected.
        """
        self._modules = list(modules)
        self._seed = seed
        self._on_batch = on_batch
        self._head = head

    def get_influence_tracked_modules(self) -> list[str]:
        """Names of the modules whose gradients enter the influence."""
        return self._modules

    def get_attention_mask(self, batch: TokenBatch) -> Tensor:
        """1 for tokens, 0 for padding; int64 [B, T]."""
        return batch["attention_mask"]

    def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
        """Summed loss of a batch of training examples; a scalar in nats, float32.

        With `sample` the labels are sampled from the model's own distribution: their gradients
        give the true Fisher, not the empirical one (Kunstner et al. 2019).
        """
        loss = self._loss(batch, model, self._uniforms(batch) if sample else None)
        self._on_batch(len(batch["input_ids"]))
        return loss

    def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
        """Summed loss of a batch of prompts' completions; a scalar in nats, float32."""
        # the randomised SVD that compresses these gradients must repeat when a run is resumed
        torch.manual_seed(self._seed)
        return self._loss(batch, model)

    def _loss(self, batch: TokenBatch, model: Any, uniforms: Tensor | None = None) -> Tensor:
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        # Kronfluence sets it for covariances only; in every pass it says which row is which token
        set_attention_mask(model, self.get_attention_mask(batch))
        labels = batch["labels"][:, 1:]  # position t predicts token t + 1
        labelled = labels != IGNORED
        if uniforms is not None:
            uniforms = uniforms.to(labels.device)[labelled]
        if self._head is not None:
            # the vocabulary is the widest layer: prompt tokens and padding need no logits
            hidden = model.base_model(**inputs, use_cache=False).last_hidden_state[:, :-1]
            return summed_loss(self._head, hidden[labelled], labels[labelled], uniforms)
        logits = model(**inputs, use_cache=False).logits[:, :-1][labelled].float()
        wanted = labels[labelled]
        if uniforms is not None:
            wanted = sample_labels(logits.detach().softmax(dim=-1), uniforms)
        return functional.cross_entropy(logits, wanted, reduction="sum")

    def _uniforms(self, batch: TokenBatch) -> Tensor:
        """Uniform random numbers in [0, 1), one for each label; float32 [B, T-1] on the CPU.

        They follow from the seed and the example's own tokens, so that neither the other examples
        of its batch nor an interruption of the fit changes its sampled labels.
        """
        uniforms = torch.zeros_like(batch["input_ids"][:, 1:], dtype=torch.float32, device="cpu")
        for row, (ids, mask) in enumerate(
            zip(batch["input_ids"].cpu(), batch["attention_mask"].cpu(), strict=True)
        ):
            tokens = ids[mask.bool()].numpy()
            drawn = _uniforms(self._seed, tokens.tobytes(), len(tokens) - 1)
            uniforms[row, : len(drawn)] = torch.from_numpy(drawn)
        return uniforms


def _uniforms(seed: int, tokens: bytes, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`count` random numbers in [0, 1), float32, that follow from the seed and the tokens."""
    # numpy's generator on the CPU gives the same numbers whatever device the model is on
    digest = hashlib.blake2b(tokens, digest_size=16, salt=seed.to_bytes(16, "little")).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).random(count, dtype=np.float32)
