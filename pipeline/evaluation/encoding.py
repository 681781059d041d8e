"""Prompts with their candidate answers as tokens, cut to what a model can read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from pipeline.corpus.chat import question_text
from pipeline.corpus.labelling import encode as encode_texts
from pipeline.corpus.labelling import encode_completions, encode_context, require_answer


@dataclass(frozen=True)
class Request:
    """A prompt and its candidates, as tokens."""

    context: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...]
    numbers: tuple[int, ...] = ()
    """Which of the question's candidates these are."""
    cut: int = 0
    """Tokens that the context lost on its left, so that it fits the model."""


class DoesNotFitError(Exception):
    """Not even the question itself fits into the model's context."""


def encode(
    tokenizer: PreTrainedTokenizerBase,
    examples: str,
    pairs: Sequence[tuple[str, str]],
    limit: int | None,
    name: str = "the question",
    by_template: bool = False,
) -> list[Request]:
    """Tokens of few-shot examples and a question's (prompt, candidate) pairs; those that share
    their prompt are one request.

    As EleutherAI's lm-evaluation-harness does: encoded as one text, split where the candidate
    begins (see `encode_pair`), cut from the left to `limit` + 1 tokens, the last of which is only
    predicted. `by_template`: the question is what a user says to the model, as its chat template
    writes it, and the candidates are its answers, without the blank that they begin with.

    Raises:
        DoesNotFitError: the cut would reach the question.
        DataError: a candidate of the question `name` has no token that can be predicted.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for number, (question, _) in enumerate(pairs):
        alike[question].append(number)
    grouped: dict[tuple[int, ...], list[int]] = defaultdict(list)
    answers: dict[int, tuple[int, ...]] = {}
    for question, same in alike.items():
        candidates = [pairs[number][1] for number in same]
        context = examples + question
        if by_template:
            context = _said(tokenizer, context)
            candidates = [candidate.lstrip() for candidate in candidates]
        encoded = encode_completions(tokenizer, context, candidates, spelled=by_template)
        for number, (head, tail) in zip(same, encoded, strict=True):
            require_answer(head, tail, f"candidate {number + 1} of {name}")
            grouped[tuple(head)].append(number)
            answers[number] = tuple(tail)
    requests = []
    for tokens, numbers in grouped.items():
        own = tuple(answers[number] for number in numbers)
        room = len(tokens) if limit is None else limit + 1 - max(map(len, own))
        cut = max(0, len(tokens) - room)
        if cut and room < _question_length(tokenizer, pairs[numbers[0]][0]):
            raise DoesNotFitError
        requests.append(Request(tokens[cut:], own, tuple(numbers), cut))
    return requests


def encode_open(
    tokenizer: PreTrainedTokenizerBase,
    examples: str,
    question: str,
    room: int | None,
    by_template: bool = False,
) -> tuple[tuple[int, ...], int]:
    """Tokens of a prompt to be continued, cut from the left to `room`, and how many were cut.

    Raises:
        DoesNotFitError: the cut would reach the question.
    """
    if by_template:
        [encoding] = encode_texts([_said(tokenizer, examples + question)], tokenizer, spelled=True)
        context = encoding.ids
    else:
        context = encode_context(tokenizer, examples + question)
    cut = 0 if room is None else max(0, len(context) - room)
    if cut and room is not None and room < _question_length(tokenizer, question):
        raise DoesNotFitError
    return tuple(context[cut:]), cut


def _said(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A user's words, as the chat template writes them, with the header of the answer."""
    return question_text(tokenizer, [{"role": "user", "content": text}])


def _question_length(tokenizer: PreTrainedTokenizerBase, question: str) -> int:
    return max(1, len(tokenizer.encode(question.rstrip(), add_special_tokens=False)))
