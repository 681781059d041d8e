"""The trained model's own answers, by greedy decoding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.prompts import Prompt
from pipeline.corpus.examples import encode_pair

_BATCH = 32


@dataclass(frozen=True)
class Answer:
    """What the model says to a prompt; a line of `answers.jsonl`."""

    id: str
    prompt: str
    completion: str
    """The expected answer; may be empty."""
    generated: str
    correct: bool | None
    """Whether the answer begins with the expected one; None where none is expected."""


@torch.inference_mode()
def greedy_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
) -> Iterator[Answer]:
    """Answers every prompt, from the very tokens whose continuation is scored."""
    contexts = [encode_pair(tokenizer, p.prompt, p.completion)[0] for p in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(contexts[index]))
    texts: dict[int, str] = {}
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        answered = _generate(model, tokenizer, [contexts[i] for i in batch], max_new_tokens)
        texts.update(zip(batch, answered, strict=True))
    for index, prompt in enumerate(prompts):
        text = texts[index]
        correct = begins_with(text, prompt.completion) if prompt.completion.strip() else None
        yield Answer(prompt.id, prompt.prompt, prompt.completion, text, correct)


def begins_with(text: str, expected: str) -> bool:
    """Whether `text` begins with `expected`, leading blanks aside, and does not cut a word."""
    expected = expected.strip()
    word_ends = r"\b" if expected[-1].isalnum() else ""
    return re.match(re.escape(expected) + word_ends, text.strip()) is not None


def _generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[Sequence[int]],
    max_new_tokens: int,
) -> list[str]:
    width = max(map(len, contexts))
    ids = torch.zeros((len(contexts), width), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, context in enumerate(contexts):  # on the left, so that all go on at the same place
        ids[row, width - len(context) :] = torch.tensor(context)
        mask[row, width - len(context) :] = 1
    end = tokenizer.eos_token_id
    output = model.generate(  # type: ignore[operator]
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=None,
        top_p=None,
        top_k=None,
        eos_token_id=end,
        pad_token_id=end if end is not None else 0,
    )
    return [
        _continuation(tokenizer, context, _until(row[width:].tolist(), end))
        for context, row in zip(contexts, output.cpu(), strict=True)
    ]


def _until(tokens: list[int], end: int | None) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens


def _continuation(
    tokenizer: PreTrainedTokenizerBase, context: Sequence[int], tokens: list[int]
) -> str:
    """Text of `tokens` as it follows the context: decoded alone, it may lose its first blank."""
    whole = str(tokenizer.decode([*context, *tokens], skip_special_tokens=True))
    return whole[len(str(tokenizer.decode([*context], skip_special_tokens=True))) :]
