"""The language-modelling task that Kronfluence differentiates.

Shape legend: B examples of a batch, T tokens of the longest of them, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from kronfluence.task import Task
from torch import Tensor, nn
from torch.nn import functional

from pipeline.corpus.examples import IGNORED, TokenBatch


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
    ) -> None:
        """Tracks `modules`; `on_batch` is told of every batch of training examples, by its size."""
        self._modules = list(modules)
        self._seed = seed
        self._on_batch = on_batch

    def get_influence_tracked_modules(self) -> list[str]:
        """The modules whose weights influence is computed for."""
        return self._modules

    def get_attention_mask(self, batch: TokenBatch) -> Tensor:
        """1 for tokens, 0 for padding; int64 [B, T]."""
        return batch["attention_mask"]

    def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
        """Summed loss of training examples; `sample` draws the labels from the model itself.

        Sampled labels give the true Fisher (Kunstner et al. 2019).
        """
        logits, labels = _next_token_logits(batch, model)
        if sample:
            labels = torch.where(labels == IGNORED, labels, self._sampled(logits.detach(), batch))
        self._on_batch(len(batch["input_ids"]))
        return _summed_loss(logits, labels)

    def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
        """Summed loss of the prompts' completions."""
        torch.manual_seed(self._seed)  # the randomised SVD of these gradients repeats itself
        return _summed_loss(*_next_token_logits(batch, model))

    def _sampled(self, logits: Tensor, batch: TokenBatch) -> Tensor:
        """Labels [B, T-1] by inverting the cumulative distribution at one uniform a position.

        An example's uniforms come from the seed and its own tokens, so neither its batch mates
        nor an interruption of the fit changes what it draws.
        """
        uniforms = torch.zeros(logits.shape[:2])
        for row, (ids, mask) in enumerate(
            zip(batch["input_ids"].cpu(), batch["attention_mask"].cpu(), strict=True)
        ):
            tokens = ids[mask.bool()].numpy()
            drawn = _uniforms(self._seed, tokens.tobytes(), len(tokens) - 1)
            uniforms[row, : len(drawn)] = torch.from_numpy(drawn)
        cumulative = torch.softmax(logits, dim=-1).cumsum(dim=-1)
        total = cumulative[..., -1:]  # not exactly 1 in float32
        drawn_at = uniforms.to(logits.device).unsqueeze(-1) * total
        found = torch.searchsorted(cumulative, drawn_at, right=True).squeeze(-1)
        return found.clamp_(max=logits.shape[-1] - 1)


def _uniforms(seed: int, tokens: bytes, count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`count` numbers in [0, 1), float32, fixed by the seed and the tokens."""
    digest = hashlib.blake2b(tokens, digest_size=16, salt=seed.to_bytes(16, "little")).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).random(count, dtype=np.float32)


def _next_token_logits(batch: TokenBatch, model: nn.Module) -> tuple[Tensor, Tensor]:
    """float32 logits [B, T-1, V] and the labels [B, T-1] that they predict."""
    logits = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).logits
    return logits[:, :-1].float(), batch["labels"][:, 1:]


def _summed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=IGNORED
    )
