"""Prompts: reading and checking them before any work is done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.contract.errors import SettingsError
from pipeline.contract.files import read_text, write_text
from pipeline.contract.settings.messages import (
    ASSISTANT,
    Message,
    MessagesError,
    is_answer,
    read_messages,
    spoken,
    transcript,
)

_ENCODER = json.JSONEncoder(ensure_ascii=False)
"""Made once: `json.dumps` makes one for each call, which takes longer than the record."""


class Prompt(BaseModel):
    """A question to the model, and the answer whose origin is traced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    prompt: str
    """Of a conversation: what is said before the answer, for reading."""
    completion: str = ""
    """Only these tokens enter the loss that influence is measured on."""
    instead: str | None = None
    """Another completion: what is traced is then why the completion rather than this one, by the
    difference of their losses. None = the completion alone."""
    set: str | None = None
    """The set that the prompt belongs to, see `results/sets.py`. None = none."""
    relevant: tuple[str, ...] = ()
    """Ids of documents known to state the answer, where somebody knows; no ranking sees them."""
    messages: tuple[Message, ...] = ()
    """A conversation, written by the model's chat template. If the assistant's is the last message,
    that is what is traced; else the model's own answer is. Empty = prompt and completion are plain
    text."""

    @classmethod
    def of_messages(
        cls, id: str, messages: Sequence[Message], relevant: Sequence[str] = ()
    ) -> Prompt:
        """A conversation; if the assistant's is the last message, that is traced."""
        question = messages[:-1] if is_answer(messages[-1]) else messages
        return cls(
            id=id,
            prompt=spoken(question[0]) if len(question) == 1 else transcript(question),
            completion="".join(spoken(message) for message in messages[len(question) :]),
            relevant=tuple(relevant),
            messages=tuple(messages),
        )

    @property
    def question(self) -> tuple[Message, ...]:
        """The conversation before the answer that is traced."""
        answered = self.messages and is_answer(self.messages[-1])
        return self.messages[:-1] if answered else self.messages

    def answered(self, answer: str) -> Prompt:
        """The same prompt with another answer, the model's own."""
        if not self.messages:
            update = {"prompt": self.prompt.rstrip(), "completion": answer}
            return self.model_copy(update=update)
        return self.completed(answer)

    def completed(self, completion: str) -> Prompt:
        """The same prompt with another completion."""
        if not self.messages:
            return self.model_copy(update={"completion": completion})
        said = {"role": ASSISTANT, "content": completion}
        return self.model_copy(
            update={"messages": (*self.question, said), "completion": completion}
        )

    @property
    def other(self) -> Prompt | None:
        """The same prompt with the other completion, where it has one."""
        if self.instead is None:
            return None
        said = self.instead.strip() if self.messages else self.instead
        return self.completed(said).model_copy(update={"instead": None})

    @property
    def is_contrast_of_same(self) -> bool:
        """Whether the other completion is the completion itself, but for blanks around it."""
        return self.instead is not None and self.instead.strip() == self.completion.strip()

    @property
    def runs_together(self) -> bool:
        """Whether the completion's first word would be the end of the prompt's last one: a blank is
        missing. Scripts that are written without blanks, and conversations, need none."""
        ends = self.prompt[-1:] + self.completion[:1]
        return (
            not self.messages
            and len(ends) == 2
            and all(letter.isalnum() and east_asian_width(letter) not in "WF" for letter in ends)
        )

    def as_written(self) -> dict[str, Any]:
        """The prompt as it stands in a file of prompts."""
        left_out = {"prompt", "completion"} if self.messages else {"messages"}
        left_out |= {name for name in ("instead", "set") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude=left_out)


def load_prompts(path: Path, use_generated: bool = False) -> list[Prompt]:
    """Reads a .jsonl or .json file, or every such file of a folder in name order.

    Raises:
        SettingsError: no prompts, a wrong or missing key, a duplicate id, an empty prompt, an
            empty completion (unless the model's own answers are to be traced), an `instead` that
            is empty or the completion itself, or an empty name of a set.
    """
    files = _files(path)
    prompts: dict[str, tuple[Prompt, str]] = {}
    for where, record in (row for file in files for row in _records(file)):
        prompt = _parse(record, where)
        if prompt.id in prompts:
            raise SettingsError(
                f"{where}: prompt id {prompt.id!r} is taken already, by {prompts[prompt.id][1]}"
            )
        if not prompt.prompt.strip():
            raise SettingsError(f"{where}: prompt {prompt.id!r} is empty")
        if not prompt.completion.strip() and not use_generated:
            hint = "write the answer to trace, or set prompts.use_generated = true"
            if prompt.messages:
                hint = f"end it with the assistant's message; or {hint.partition(', or ')[2]}"
            raise SettingsError(f"{where}: prompt {prompt.id!r} has an empty completion", hint)
        if fault := next(iter(optional_faults(prompt, use_generated).values()), None):
            raise SettingsError(f"{where}: prompt {prompt.id!r}: {fault[0]}", fault[1])
        prompts[prompt.id] = (prompt, where)
    if not prompts:
        hint = (
            'write lines like {"id": "capital", "prompt": "The capital is", "completion": " Oslo"}'
        )
        raise SettingsError(f"no prompts in {path}", hint)
    return [prompt for prompt, _ in prompts.values()]


def query_count(prompts: Iterable[Prompt]) -> int:
    """Completions whose gradients are computed: a prompt with `instead` has two."""
    return sum(1 + (prompt.instead is not None) for prompt in prompts)


def optional_faults(prompt: Prompt, use_generated: bool = False) -> dict[str, tuple[str, str]]:
    """What is wrong with the fields that a prompt may leave out: (message, hint) by field."""
    faults = {}
    if prompt.instead is not None and not prompt.instead.strip():
        hint = "write the other completion, or leave `instead` out to trace the completion alone"
        faults["instead"] = "`instead` is empty", hint
    elif prompt.is_contrast_of_same and not use_generated:
        hint = "a difference needs two: write another completion, or leave `instead` out"
        faults["instead"] = "`instead` is the completion itself", hint
    if prompt.set is not None and not prompt.set.strip():
        faults["set"] = "the name of its set is empty", "write a name, or leave `set` out"
    return faults


def save_prompts(path: Path, prompts: list[Prompt]) -> None:
    """Writes prompts as JSON Lines."""
    lines = [json.dumps(prompt.as_written(), ensure_ascii=False) for prompt in prompts]
    write_text(path, "\n".join(lines) + "\n")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in (".jsonl", ".json"))
    if not path.exists():
        hint = "`headwater init` writes some examples; prompts.path in the settings names the place"
        raise SettingsError(f"there are no prompts at {path}", hint)
    return [path]


def _records(file: Path) -> Iterator[tuple[str, Any]]:
    """Gives (where it stands, record); a record without an id gets its position as one."""
    try:
        text = read_text(file)
        if text.lstrip().startswith("["):
            records = [(f"{file}: entry {n}", r) for n, r in enumerate(json.loads(text), 1)]
        else:
            lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
            records = [(f"{file}:{n}", _json_line(line, f"{file}:{n}")) for n, line in lines]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SettingsError(f"cannot read prompts from {file}: {error}") from error
    for position, (where, record) in enumerate(records, start=1):
        if isinstance(record, dict):
            record = {"id": f"{file.stem}-{position}", **record}
        yield where, record


def _json_line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{where}: not JSON: {error}") from error


def _parse(record: Any, where: str) -> Prompt:
    text = _ENCODER.encode(_with_texts(record, where))
    try:
        return Prompt.model_validate_json(text.encode())
    except UnicodeEncodeError as error:
        half = text[error.start].encode("unicode_escape").decode()
        raise SettingsError(
            f"{where}: {half} is half of a character", "write the whole character as UTF-8"
        ) from error
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in detail["loc"])
        valid = ", ".join(Prompt.model_fields)
        raise SettingsError(
            f"{where}: {key or 'record'}: {detail['msg']}; keys: {valid}"
        ) from error


def _with_texts(record: Any, where: str) -> Any:
    """The record of a conversation with what it says as prompt and completion, for reading."""
    if not isinstance(record, dict) or "messages" not in record:
        return record
    if "prompt" in record or "completion" in record:
        raise SettingsError(f"{where}: a prompt has either messages, or a prompt and a completion")
    try:
        messages = read_messages(record["messages"])
    except MessagesError as error:
        raise SettingsError(f"{where}: {error}") from error
    if is_answer(messages[0]):
        raise SettingsError(f"{where}: the conversation begins with the answer")
    read = Prompt.of_messages("", messages)
    return {**record, "prompt": read.prompt, "completion": read.completion, "messages": messages}
