"""Training examples and prompts as token sequences: as a dataset, and as batches.

Shape legend: B examples of a batch, T tokens of the longest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.examples import read_tokens
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt

IGNORED = -100
"""Label of a position that does not enter the loss (PyTorch's cross_entropy default)."""


class TokenRow(TypedDict):
    """One sequence. int64 tensors of shape [T]."""

    input_ids: Tensor
    labels: Tensor


class TokenBatch(TypedDict):
    """Sequences padded on the right to the longest. int64 tensors of shape [B, T]."""

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor


class TokenDataset(Dataset[TokenRow]):
    """Token sequences with their labels; labels equal the tokens unless given.

    The first token is never a label: nothing comes before it to predict it from.
    """

    def __init__(
        self,
        tokens: Sequence[NDArray[np.int32]],
        labels: Sequence[NDArray[np.int32]] | None = None,
    ) -> None:
        self._tokens = tokens
        self._labels = labels if labels is not None else tokens
        self.lengths: list[int] = [len(row) for row in tokens]

    @classmethod
    def of_examples(cls, run: RunDir, *paths: Path) -> TokenDataset:
        """The training examples of a run, or those of other files of it, in their order."""
        return cls([row for path in paths or (run.examples,) for row in read_tokens(run, path)])

    @classmethod
    def of_prompts(
        cls, prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase
    ) -> TokenDataset:
        """Prompts with their completions; only the completion's tokens are labelled."""
        pairs = [encode_pair(tokenizer, p.prompt, p.completion) for p in prompts]
        tokens = [np.array(context + answer, dtype=np.int32) for context, answer in pairs]
        labels = [
            np.array([IGNORED] * len(context) + answer, dtype=np.int32) for context, answer in pairs
        ]
        return cls(tokens, labels)

    def subset(self, indices: Sequence[int]) -> TokenDataset:
        """Some of the sequences, in the order of their indices."""
        return TokenDataset(
            [self._tokens[index] for index in indices], [self._labels[index] for index in indices]
        )

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> TokenRow:
        labels = torch.from_numpy(self._labels[index].astype(np.int64))
        labels[0] = IGNORED
        return {
            "input_ids": torch.from_numpy(self._tokens[index].astype(np.int64)),
            "labels": labels,
        }


def pad_batch(rows: Sequence[TokenRow]) -> TokenBatch:
    """Pads on the right: under causal attention no real token ever sees the padding.

    The padding token is 0 (never looked at: the mask and the labels leave it out), so a
    genuine end-of-sequence token is never taken for padding.
    """
    pad = torch.nn.utils.rnn.pad_sequence
    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": pad(ids, batch_first=True, padding_value=0),
        "attention_mask": pad([torch.ones_like(row) for row in ids], batch_first=True),
        "labels": pad([row["labels"] for row in rows], batch_first=True, padding_value=IGNORED),
    }


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, context: str, completion: str
) -> tuple[list[int], list[int]]:
    """Tokens of a context and of what follows it, cut where the text goes on as one.

    Blanks at the context's end belong to the completion's first word, and the context begins
    with the beginning-of-sequence token where the tokenizer has one. (The rule of EleutherAI's
    lm-evaluation-harness, so that log-likelihoods compare with published ones.)
    """
    return encode_completions(tokenizer, context, [completion])[0]


def encode_completions(
    tokenizer: PreTrainedTokenizerBase, context: str, completions: Sequence[str]
) -> list[tuple[list[int], list[int]]]:
    """As `encode_pair`, for several texts that may follow the same context."""
    stripped = context.rstrip()
    blanks = context[len(stripped) :]
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    plain = {"add_special_tokens": False, "split_special_tokens": True}  # "</s>" is text here
    texts = [stripped, *(stripped + blanks + completion for completion in completions)]
    head, *wholes = tokenizer(texts, **plain)["input_ids"]
    return [(start + whole[: len(head)], whole[len(head) :]) for whole in wholes]
