"""Conversations as lists of messages, in the form that chat templates read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Message = dict[str, Any]
""""role", "content" (text), and what a template may read beside it: "tool_calls", "name",
"reasoning_content" …  Any: what tool calls hold is the template's affair."""

ASSISTANT = "assistant"
SYSTEM = ("system", "developer")
ROLES = (*SYSTEM, "user", ASSISTANT, "tool")
_SENDERS = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": ASSISTANT,
    "chatgpt": ASSISTANT,
    "assistant": ASSISTANT,
    "model": ASSISTANT,
    "bot": ASSISTANT,
    "tool": "tool",
    "observation": "tool",
}
"""Names of senders in data with "from" and "value" (ShareGPT's), as roles."""

_TEXT_PARTS = ("text", "input_text", "output_text")
_SAYING = ("content", "reasoning_content", "reasoning", "thinking", "tool_calls")


class MessagesError(ValueError):
    """A conversation that cannot be read; `reason` is the same for all that share the fault."""

    def __init__(self, reason: str, where: str = "the conversation") -> None:
        super().__init__(f"{where} {reason}")
        self.reason = reason


def read_messages(value: object) -> list[Message]:
    """A conversation as it stands in a data set or in a file of prompts, checked.

    Messages have "role" and "content", or "from" and "value"; the whole may be JSON in a string.
    A content in parts of text becomes one text.

    Raises:
        MessagesError: it is none; says why and where: an unknown role, no content, an image.
    """
    if isinstance(value, str):
        value = _parsed(value, "the conversation")
    if not isinstance(value, list | tuple):
        raise MessagesError(f"is no list of messages but {type(value).__name__}")
    if not value:
        raise MessagesError("has no messages")
    return [_message(one, f"message {n}") for n, one in enumerate(value, 1)]


def read_tools(value: object) -> list[dict[str, Any]]:
    """The tools that a conversation may call, as JSON schemas; the list may be JSON in a string.

    Raises:
        MessagesError: it is no list of JSON objects.
    """
    if isinstance(value, str) and value.strip():
        value = _parsed(value, "the list of tools")
    tools = without_nulls(value or [])
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise MessagesError("is no list of JSON objects", "the list of tools")
    return tools


def _parsed(text: str, what: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessagesError(f"is not JSON: {error}", what) from error


def without_nulls(value: Any) -> Any:
    """JSON without the keys that have no value: columnar files give every object all keys."""
    if isinstance(value, Mapping):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(one) for one in value]
    return value


def role_of(message: Message) -> str:
    """Who says it."""
    return str(message["role"])


def is_answer(message: Message) -> bool:
    """Whether the assistant says it."""
    return role_of(message) == ASSISTANT


def is_system(message: Message) -> bool:
    """Whether it says how the assistant is to be."""
    return role_of(message) in SYSTEM


def is_tool(message: Message) -> bool:
    """Whether it is what a tool gave back."""
    return role_of(message) == "tool"


def without_calls(message: Message) -> Message:
    """The message without the tools that it calls."""
    return {key: value for key, value in message.items() if key != "tool_calls"}


def spoken(message: Message) -> str:
    """What a message says, for reading: its reasoning, its text, and the tools that it calls."""
    calls = [json.dumps(call, ensure_ascii=False) for call in message.get("tool_calls") or ()]
    reasoning = [str(message[key]) for key in _SAYING[1:4] if message.get(key)]
    return "\n".join(part for part in (*reasoning, message.get("content") or "", *calls) if part)


def transcript(messages: Sequence[Message]) -> str:
    """A conversation for reading: each message after its role."""
    return "\n\n".join(f"{message['role']}: {spoken(message)}" for message in messages)


def _message(value: object, where: str) -> Message:
    if not isinstance(value, Mapping):
        raise MessagesError("is no JSON object", where)
    message: Message = without_nulls(value)
    if "role" not in message and "from" in message:
        message = _renamed(message, where)
    role = message.get("role")
    if role not in ROLES:
        raise MessagesError(f"has the role {role!r}; known: {', '.join(ROLES)}", where)
    if "content" in message:
        message["content"] = _text(message["content"], where)
    if not any(key in message for key in (_SAYING if role == ASSISTANT else _SAYING[:1])):
        raise MessagesError(f"({role}) has no content", where)
    return message


def _renamed(message: Message, where: str) -> Message:
    sender = str(message.pop("from"))
    value = message.pop("value", None)
    if sender == "function_call":
        call = _parsed(value, where) if isinstance(value, str) else value
        calls = [{"type": "function", "function": call}]
        return {"role": ASSISTANT, "content": "", "tool_calls": calls, **message}
    if sender not in _SENDERS:
        known = ", ".join((*_SENDERS, "function_call"))
        raise MessagesError(f"is from {sender!r}; known: {known}", where)
    return {"role": _SENDERS[sender], **({} if value is None else {"content": value}), **message}


def _text(content: object, where: str) -> str:
    """A message's text; of several parts, these in a row."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise MessagesError(f"has a content that is no text but {type(content).__name__}", where)
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        text = part.get("text") if isinstance(part, dict) else part
        if kind not in _TEXT_PARTS or not isinstance(text, str):
            raise MessagesError(
                f"holds a part of the type {kind!r}: only text can be traced", where
            )
        texts.append(text)
    return "".join(texts)
