"""Completions and conversations as sequences to train on, with what of them carries loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.examples import Turn
from pipeline.contract.settings.messages import (
    Message,
    is_answer,
    is_system,
    is_tool,
    role_of,
    spoken,
    transcript,
)
from pipeline.corpus.chat import RefusedConversationError, Rendering, label, renderings
from pipeline.corpus.chunks import Chunk, split_document
from pipeline.corpus.forms import Completion, Conversation
from pipeline.corpus.labelling import covering, encode


@dataclass(frozen=True)
class Pieces:
    """The sequences of a document."""

    chunks: list[Chunk]
    answers: int
    """Completions, or turns of the assistant, that carry loss in them."""
    dropped: int = 0
    """Turns of the assistant that are longer, with what they answer, than a sequence may be."""
    rewritten: bool = False
    """Whether each answer is a sequence of its own, for the template rewrites earlier ones."""


def completion_pieces(
    record: Completion, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> Pieces:
    """A prompt and its completion, which carries loss, with the end of the sequence.

    A longer one is cut evenly; a part in which nothing carries loss is left out.

    Raises:
        RefusedConversationError: no token of the completion can be predicted.
    """
    text = record.prompt + record.completion
    border = len(record.prompt)
    [encoding] = encode([text], tokenizer)
    labelled = covering(encoding, text, [(border, len(text))])
    chunks = split_document(text, encoding, tokenizer, max_tokens, labelled)
    if not any(any((one.labelled or ())[1:]) for one in chunks):
        raise RefusedConversationError("no token of its completion can be predicted")
    found, begin = [], 0
    for one in chunks:
        position = max(0, min(len(one.text), border - begin))
        begin += len(one.text)
        parts = (
            Turn("prompt", one.text[:position], False),
            Turn("completion", one.text[position:], True),
        )
        if any((one.labelled or ())[1:]):
            found.append(replace(one, turns=tuple(part for part in parts if part.text)))
    return Pieces(_numbered(found), answers=1)


def conversation_pieces(
    record: Conversation, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> Pieces:
    """A conversation as its chat template writes it; the assistant's turns carry loss.

    One that is longer than a sequence may be is cut between a turn of the assistant and what it is
    asked next; each part is a conversation of its own, with the system's words before it.

    Raises:
        RefusedConversationError: the template cannot write it, or it cannot be told what the
            assistant says, or no turn of it fits.
    """
    whole = _chunks(record, record.messages, tokenizer)
    if _fits(whole, max_tokens):
        return _pieces(whole, rewritten=len(whole) > 1)
    head, exchanges = _exchanges(record.messages)
    found: list[Chunk] = []
    part: list[Chunk] = []
    taken: list[Message] = []
    dropped = 0
    for exchange in exchanges:
        longer = _chunks(record, [*head, *taken, *exchange], tokenizer)
        if taken and not _fits(longer, max_tokens):
            found, taken = found + part, []
            longer = _chunks(record, [*head, *exchange], tokenizer)
        if _fits(longer, max_tokens):
            part, taken = longer, taken + exchange
        else:
            part, dropped = [], dropped + sum(map(is_answer, exchange))
    found += part
    if not found:
        raise RefusedConversationError("each of its turns is longer than data.max_tokens")
    return _pieces(found, rewritten=len(whole) > 1, dropped=dropped)


def _fits(chunks: Sequence[Chunk], max_tokens: int) -> bool:
    return all(len(one.tokens) <= max_tokens for one in chunks)


def _pieces(chunks: Sequence[Chunk], rewritten: bool, dropped: int = 0) -> Pieces:
    answers = sum(turn.labelled for one in chunks for turn in one.turns or ())
    return Pieces(_numbered(chunks), answers, dropped, rewritten)


def _exchanges(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """The system's messages before all others; and the others, parted before each message that
    follows an answer and is no tool's. What no answer follows is left out."""
    start = next((n for n, one in enumerate(messages) if not is_system(one)), len(messages))
    exchanges: list[list[Message]] = []
    for message in messages[start:]:
        begins = not exchanges or (
            is_answer(exchanges[-1][-1]) and not is_answer(message) and not is_tool(message)
        )
        if begins:
            exchanges.append([])
        exchanges[-1].append(message)
    return list(messages[:start]), [one for one in exchanges if any(map(is_answer, one))]


def _chunks(
    record: Conversation, messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase
) -> list[Chunk]:
    """The sequences of some of the messages, which are not numbered yet."""
    return [
        _chunk(messages, one, tokenizer) for one in renderings(tokenizer, messages, record.tools)
    ]


def _chunk(
    messages: Sequence[Message], rendering: Rendering, tokenizer: PreTrainedTokenizerBase
) -> Chunk:
    found = label(tokenizer, rendering)
    if not any(found.labelled[1:]):
        raise RefusedConversationError("no token of what the assistant says can be predicted")
    said = messages[: rendering.messages]
    turns = tuple(
        Turn(role_of(one), spoken(one), position in rendering.answers)
        for position, one in enumerate(said)
    )
    return Chunk(transcript(said), found.tokens, 0, 1, found.labelled, turns)


def _numbered(chunks: Sequence[Chunk]) -> list[Chunk]:
    return [replace(one, chunk=n, chunks=len(chunks)) for n, one in enumerate(chunks)]
