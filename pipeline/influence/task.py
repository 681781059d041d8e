"""The language-modelling task that Kronfluence differentiates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from kronfluence.task import Task
from torch import Tensor, nn
from torch.nn import functional

from pipeline.corpus.examples import IGNORED, TokenBatch


class LanguageModelingTask(Task):
    """Loss summed over labelled tokens, in nats.

    Summed, because influence functions add up over examples (Grosse et al. 2023, section 2);
    labelled tokens only, so prompt tokens and padding never enter.
    """

    def __init__(
        self,
        modules: list[str],
        seed: int,
        on_batch: Callable[[int], None] = lambda examples: None,
    ) -> None:
        """Tracks `modules`; `on_batch` is told how many training examples were just computed."""
        self._modules = modules
        self._seed = seed
        self._on_batch = on_batch

    def get_influence_tracked_modules(self) -> list[str]:
        """The modules whose weights influence is computed for."""
        return self._modules

    def get_attention_mask(self, batch: TokenBatch) -> Tensor:
        """1 for tokens, 0 for padding; shape [B, T]."""
        return batch["attention_mask"]

    def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
        """Summed loss of training examples; `sample` draws the labels from the model itself.

        Sampled labels give the true Fisher (Kunstner et al. 2019). They are drawn anew for every
        batch from the seed and the batch's own tokens, so an interrupted fit goes on as it
        would have gone.
        """
        logits, labels = _next_token_logits(batch, model)
        if sample:
            labels = self._sampled(logits.detach(), labels, batch)
        self._on_batch(len(batch["input_ids"]))
        return _summed_loss(logits, labels)

    def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
        """Summed loss of the prompts' completions."""
        return _summed_loss(*_next_token_logits(batch, model))

    def _sampled(self, logits: Tensor, labels: Tensor, batch: TokenBatch) -> Tensor:
        ids = batch["input_ids"]
        position = torch.arange(1, ids.numel() + 1, device=ids.device)
        digest = int((ids.flatten() * position).sum()) % 2**31
        generator = torch.Generator(device=logits.device).manual_seed(self._seed * 2**31 + digest)
        flat = torch.softmax(logits.flatten(0, 1), dim=-1)
        drawn = torch.multinomial(flat, num_samples=1, generator=generator).view_as(labels)
        return torch.where(labels == IGNORED, labels, drawn)


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
