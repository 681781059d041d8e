"""Texts that a model writes: batched, greedy or sampled from a seed, with stop rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.batches import token_budget_batches
from pipeline.model import context_length


@dataclass(frozen=True)
class Sampling:
    """How to draw instead of taking the likeliest token."""

    temperature: float
    top_p: float
    seed: int


@dataclass(frozen=True)
class Continuation:
    """A continuation."""

    text: str
    ended: Literal["end", "stop", "length"]
    """At the end-of-sequence token, at a stop text (which is cut off), or at the length limit."""
    tokens: int


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
    """Gives (index of the context, its continuation) as batches finish.

    `contexts` are tokens; `budget` is the most tokens of a batch, with padding and with what is
    to be written. Nothing is written beyond the model's context. A sampled text depends on the
    seed and on the batch that it is drawn in.
    """
    if sampling:
        torch.manual_seed(sampling.seed)
    limit = context_length(model.config)
    rooms = [new_token_limit(len(context), max_new_tokens, limit) for context in contexts]
    for room in sorted(set(rooms), reverse=True):  # a long context shortens no other's answer
        same = [index for index, own in enumerate(rooms) if own == room]
        lengths = [len(contexts[index]) + room for index in same]
        for batch in token_budget_batches(lengths, budget):
            rows = [contexts[same[place]] for place in batch]
            output = _generate(model, tokenizer, rows, room, stop, sampling)
            for place, tokens in zip(batch, output, strict=True):
                yield same[place], _finished(tokenizer, contexts[same[place]], tokens, stop)


def new_token_limit(context: int, max_new_tokens: int, limit: int | None) -> int:
    """Tokens that can follow a context of so many in a model that reads `limit` at once."""
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
    for row, context in enumerate(contexts):  # on the left, so that all go on at the same place
        ids[row, width - len(context) :] = torch.tensor(context)
        mask[row, width - len(context) :] = 1
    end = tokenizer.eos_token_id
    stops: dict[str, Any] = {"stop_strings": list(stop), "tokenizer": tokenizer} if stop else {}
    output = model.generate(  # type: ignore[operator]
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        max_new_tokens=max_new_tokens,
        do_sample=sampling is not None,
        num_beams=1,
        temperature=sampling.temperature if sampling else None,
        top_p=sampling.top_p if sampling else None,
        top_k=0 if sampling else None,
        eos_token_id=end,
        pad_token_id=end if end is not None else 0,
        **stops,
    )
    rows: list[list[int]] = output[:, width:].tolist()
    return rows


def _finished(
    tokenizer: PreTrainedTokenizerBase,
    context: Sequence[int],
    tokens: list[int],
    stop: Sequence[str],
) -> Continuation:
    end = tokenizer.eos_token_id
    ended: Literal["end", "stop", "length"] = "length"
    if end in tokens:
        tokens, ended = tokens[: tokens.index(end)], "end"
    text = _continuation(tokenizer, context, tokens)
    places = [place for one in stop if (place := text.find(one)) >= 0]
    if places:
        text, ended = text[: min(places)], "stop"
    return Continuation(text, ended, len(tokens))


def _continuation(
    tokenizer: PreTrainedTokenizerBase, context: Sequence[int], tokens: list[int]
) -> str:
    """Text of `tokens` as it follows the context: decoded alone, it may lose its first blank."""
    whole = str(tokenizer.decode([*context, *tokens], skip_special_tokens=True))
    return whole[len(str(tokenizer.decode([*context], skip_special_tokens=True))) :]
