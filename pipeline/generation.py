"""Generates text with a model: batched, greedy or sampled from a seed, with stop strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.batches import token_budget_batches
from pipeline.model import context_length
from pipeline.pretrained.decoding import end_tokens


@dataclass(frozen=True)
class Sampling:
    """Parameters of sampling; without them decoding is greedy."""

    temperature: float
    top_p: float
    seed: int


@dataclass(frozen=True)
class Continuation:
    """Text that a model generated after a context."""

    text: str
    ended: Literal["end", "stop", "length"]
    """What ended it: an end token, a stop string (which is cut off) or the length limit."""
    ids: tuple[int, ...]
    """The tokens that were generated as this text, the last of which may go on beyond it; without
    an end token."""

    @property
    def tokens(self) -> int:
        """Their number."""
        return len(self.ids)


@torch.inference_mode()
def generate_continuations(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop: Sequence[str] = (),
    sampling: Sampling | None = None,
    budget: int = 8192,
) -> Iterator[tuple[int, Continuation]]:
    """Yields (index of the context, its continuation) as batches finish.

    `contexts`: token ids; `budget`: most tokens of a batch, padding and the tokens to be generated
    counted. Context and continuation never exceed the model's context length. A sampled text
    depends on the seed and on the other contexts of its batch.
    """
    if sampling:
        torch.manual_seed(sampling.seed)
    limit, ends = context_length(model.config), end_tokens(model, tokenizer)
    allowed = [new_token_limit(len(context), max_new_tokens, limit) for context in contexts]
    # by limit: in one batch, a long context would shorten the continuations of all others
    for new_tokens in sorted(set(allowed), reverse=True):
        group = [index for index, own in enumerate(allowed) if own == new_tokens]
        lengths = [len(contexts[index]) + new_tokens for index in group]
        for batch in token_budget_batches(lengths, budget):
            indices = [group[row] for row in batch]
            rows = [contexts[index] for index in indices]
            output = _generate(model, tokenizer, rows, new_tokens, stop, sampling)
            for index, tokens in zip(indices, output, strict=True):
                yield index, _finished(tokenizer, contexts[index], tokens, ends, stop)


def new_token_limit(context: int, max_new_tokens: int, limit: int | None) -> int:
    """Tokens that may follow `context` tokens if the model's context length is `limit`."""
    return max_new_tokens if limit is None else max(0, min(max_new_tokens, limit - context))


def _generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[Sequence[int]],
    max_new_tokens: int,
    stop: Sequence[str],
    sampling: Sampling | None,
) -> list[list[int]]:
    if max_new_tokens < 1:
        return [[] for _ in contexts]
    width = max(map(len, contexts))
    ids = torch.zeros((len(contexts), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, context in enumerate(contexts):  # padded on the left, so that all go on in one column
        ids[row, width - len(context) :] = torch.tensor(context)
        mask[row, width - len(context) :] = 1
    ends = end_tokens(model, tokenizer)
    output = model.generate(  # type: ignore[operator]
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        max_new_tokens=max_new_tokens,
        do_sample=sampling is not None,
        num_beams=1,
        temperature=sampling.temperature if sampling else None,
        top_p=sampling.top_p if sampling else None,
        top_k=0 if sampling else None,  # no limit; the default is the 50 likeliest tokens
        eos_token_id=ends or None,
        pad_token_id=ends[0] if ends else 0,
        stop_strings=list(stop) or None,
        tokenizer=tokenizer if stop else None,
    )
    rows: list[list[int]] = output[:, width:].tolist()
    return rows


def _finished(
    tokenizer: PreTrainedTokenizerBase,
    context: Sequence[int],
    tokens: list[int],
    ends: Sequence[int],
    stop: Sequence[str],
) -> Continuation:
    """Cuts the generated tokens at the first end token or the first stop string."""
    ended: Literal["end", "stop", "length"] = "length"
    at_end = next((index for index, token in enumerate(tokens) if token in ends), None)
    if at_end is not None:
        tokens, ended = tokens[:at_end], "end"
    text = _decode_after(tokenizer, context, tokens)
    starts = [start for one in stop if (start := text.find(one)) >= 0]
    if starts:
        text, ended = text[: min(starts)], "stop"
        tokens = _tokens_of(tokenizer, context, tokens, text)
    return Continuation(text, ended, tuple(tokens))


def _tokens_of(
    tokenizer: PreTrainedTokenizerBase, context: Sequence[int], tokens: list[int], text: str
) -> list[int]:
    """The fewest first tokens that hold the whole of `text`."""
    for count in range(len(tokens)):
        if _decode_after(tokenizer, context, tokens[:count]).startswith(text):
            return tokens[:count]
    return tokens


def _decode_after(
    tokenizer: PreTrainedTokenizerBase, context: Sequence[int], tokens: list[int]
) -> str:
    """Text of `tokens` as it follows the context."""
    # decoded alone, some tokenizers drop the space before the first word
    whole = str(tokenizer.decode([*context, *tokens], skip_special_tokens=True))
    return whole[len(str(tokenizer.decode([*context], skip_special_tokens=True))) :]
