"""Training examples and prompts as token sequences: as a dataset, and as batches.

Shape legend: B examples of a batch, T tokens of the longest of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.results.examples import read_labelled, read_tokens
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.corpus.chat import (
    RefusedConversationError,
    answer_rendering,
    label,
    question_text,
)
from pipeline.corpus.labelling import encode, encode_context, encode_pair, require_answer

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
        tokens: list[NDArray[np.int32]] = []
        labels: list[NDArray[np.int32]] = []
        for path in paths or (run.examples,):
            rows = read_tokens(run, path)
            tokens += rows
            labels += _labels(rows, read_labelled(run, path))
        return cls(tokens, labels)

    @classmethod
    def of_prompts(
        cls, prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase
    ) -> TokenDataset:
        """Prompts with their completions; only the completion's tokens are labelled.

        Raises:
            DataError: a completion has no token that can be predicted.
        """
        return cls.of_pairs([encode_prompt(tokenizer, prompt) for prompt in prompts])

    @classmethod
    def of_pairs(cls, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Self:
        """Contexts with what follows them, both as token ids; only what follows is labelled."""
        tokens = [np.array([*context, *answer], dtype=np.int32) for context, answer in pairs]
        labels = [
            np.array([IGNORED] * len(context) + [*answer], dtype=np.int32)
            for context, answer in pairs
        ]
        return cls(tokens, labels)

    @property
    def predictions(self) -> list[int]:
        """How many tokens of each sequence carry loss."""
        return [int((row[1:] != IGNORED).sum()) for row in self._labels]

    def answers(self, index: int) -> list[tuple[int, int]]:
        """Where the sequence carries loss: (first token, the one after the last) of each part."""
        on = np.concatenate([[False], self._labels[index][1:] != IGNORED, [False]])
        bounds = np.flatnonzero(on[1:] != on[:-1]) + 1
        return [(int(a), int(b)) for a, b in zip(bounds[::2], bounds[1::2], strict=True)]

    def tokens(self, index: int) -> list[int]:
        """The sequence's tokens."""
        tokens: list[int] = self._tokens[index].tolist()
        return tokens

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


def _labels(
    rows: list[NDArray[np.int32]], labelled: list[NDArray[np.bool_]] | None
) -> list[NDArray[np.int32]]:
    if labelled is None:
        return rows
    ignored = np.int32(IGNORED)
    return [np.where(on, row, ignored) for row, on in zip(rows, labelled, strict=True)]


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


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt
) -> tuple[list[int], list[int]]:
    """Tokens of a prompt, and of its completion, each of which can be predicted.

    A conversation is written by the tokenizer's chat template; its completion is the last answer
    with the token that ends it.

    Raises:
        DataError: the completion has no token that can be predicted, or the template does not
            write the conversation.
    """
    what = f"prompt {prompt.id!r}"
    if prompt.messages:
        context, answer = _encode_conversation(tokenizer, prompt, what)
    else:
        context, answer = encode_pair(tokenizer, prompt.prompt, prompt.completion)
    require_answer(context, answer, f"the completion of {what}")
    return context, answer


def encode_question(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """Tokens of a prompt without its completion: what a model answers.

    Raises:
        DataError: the template does not write the conversation.
    """
    if not prompt.messages:
        return encode_context(tokenizer, prompt.prompt)
    with _refusal_told(f"prompt {prompt.id!r}"):
        text = question_text(tokenizer, prompt.question)
    [encoding] = encode([text], tokenizer, spelled=True)
    return encoding.ids


def _encode_conversation(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, what: str
) -> tuple[list[int], list[int]]:
    """Tokens before the last answer, and of it; what a template writes behind it is left out."""
    with _refusal_told(what):
        labelled = label(tokenizer, answer_rendering(tokenizer, prompt.messages))
    positions = [position for position, on in enumerate(labelled.labelled) if on]
    if not positions:
        return labelled.tokens, []
    first, last = positions[0], positions[-1]
    return labelled.tokens[:first], labelled.tokens[first : last + 1]


@contextmanager
def _refusal_told(what: str) -> Iterator[None]:
    try:
        yield
    except RefusedConversationError as error:
        raise DataError(f"{what}: {error}", "see the chat template's own rules") from error
