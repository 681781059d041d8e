"""The forms of a corpus: plain text, prompts with completions, conversations.

A form says which columns hold a document, and what is kept of their cells: a text to read, and for
completions and conversations also a record, JSON of which the training examples are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.contract.settings.messages import (
    Message,
    MessagesError,
    read_messages,
    read_tools,
    spoken,
    transcript,
)
from pipeline.contract.settings.schema import DataSettings

Cells = Mapping[str, Any]  # Any: whatever a source holds

_PAIRS = (("prompt", "completion"), ("instruction", "output"), ("question", "answer"))
"""Usual names of prompts and completions."""
_INPUT = "input"
_MESSAGES = ("messages", "conversations")
_TOOLS = "tools"
OPTIONAL = {"text": (), "completion": (_INPUT,), "chat": (_TOOLS,)}
"""Columns that are read where they are there, by form."""


@dataclass(frozen=True)
class Content:
    """What a row holds."""

    text: str
    record: str = ""
    """JSON; empty in the form "text"."""


@dataclass(frozen=True)
class Completion:
    """A prompt and what is to follow it, which alone carries loss."""

    prompt: str
    completion: str


@dataclass(frozen=True)
class Conversation:
    """Messages, and the tools that the assistant may call."""

    messages: list[Message]
    tools: list[dict[str, Any]]


def column_choices(data: DataSettings) -> list[tuple[str, ...]]:
    """The columns that may hold a document, the ones that the settings name first."""
    if data.form == "completion":
        named = (data.prompt_column, data.completion_column)
        return list(dict.fromkeys((named, *(_PAIRS if named == _PAIRS[0] else ()))))
    if data.form == "chat":
        others = _MESSAGES if data.messages_column == _MESSAGES[0] else ()
        return [(name,) for name in dict.fromkeys((data.messages_column, *others))]
    return [(data.text_column,)]


def content(
    cells: Cells, columns: Sequence[str], data: DataSettings, clean: Callable[[str], str]
) -> Content:
    """What a row holds in its columns, one of the `column_choices`; the record's texts cleaned.

    Raises:
        MessagesError: it is no document of the form; says why.
    """
    if data.form == "completion":
        return _completion(_cleaned(dict(cells), clean), *columns)
    if data.form == "chat":
        return _conversation(cells, columns[0], clean)
    [column] = columns
    return Content(_text(cells, column))


def completion_of(record: str) -> Completion:
    """What `content` kept of a prompt and its completion."""
    return Completion(**json.loads(record))


def conversation_of(record: str) -> Conversation:
    """What `content` kept of a conversation."""
    return Conversation(**json.loads(record))


def _completion(cells: Cells, asked: str, answered: str) -> Content:
    prompt, completion = _text(cells, asked), _text(cells, answered)
    if (asked, answered) != _PAIRS[0]:  # questions and answers do not go on as one text
        if given := _text(cells, _INPUT) if cells.get(_INPUT) else "":
            prompt = f"{prompt}\n\n{given}"
        if not (prompt[-1:].isspace() or completion[:1].isspace()):
            prompt += "\n"
    if completion and not completion.strip():
        completion = ""
    if not completion:
        raise MessagesError("is empty", f"the column {answered}")
    record = {"prompt": prompt, "completion": completion}
    return Content(prompt + completion, json.dumps(record, ensure_ascii=False))


def _conversation(cells: Cells, column: str, clean: Callable[[str], str]) -> Content:
    messages = _cleaned(read_messages(cells[column]), clean)
    if not any(spoken(message).strip() for message in messages):
        return Content("")
    tools = _cleaned(read_tools(cells.get(_TOOLS)), clean)
    record = {"messages": messages, "tools": tools}
    return Content(transcript(messages), json.dumps(record, ensure_ascii=False))


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """JSON with all its texts cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(one, clean) for key, one in value.items()}
    return [_cleaned(one, clean) for one in value] if isinstance(value, list) else value


def _text(cells: Cells, column: str) -> str:
    value = cells[column]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    advice = '; for lists of messages set data.form = "chat"' if isinstance(value, list) else ""
    raise MessagesError(f"is not text but {type(value).__name__}{advice}", column)
