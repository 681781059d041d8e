"""Conversations as the model's chat template writes them, and which of their tokens carry loss.

Loss lies on what the assistant writes, which is told in one of two ways:

- A template with `{% generation %}` marks says it itself, as transformers'
  `return_assistant_tokens_mask` reads them.
- Else each turn is rendered behind those before it: what a conversation's beginning and the header
  of an answer (`add_generation_prompt`) render to must be how the rendering of one message more
  begins. What is added is the assistant's turn, up to its end-of-turn token: what a template
  writes behind that, no model writes.

A template may rewrite what was said (many drop the reasoning of earlier answers). Then a
conversation becomes several sequences, one for each answer, each as the model would have seen it
when it was to answer; only that answer carries loss there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.messages import Message, is_answer, without_calls
from pipeline.corpus.labelling import (
    LabelledTokens,
    Span,
    added_tokens,
    encode,
    extents,
    overlapping,
)

Tools = Sequence[dict[str, Any]]

_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
ZEPHYR = """\
{%- for message in messages -%}
{{- '<|' + message.role + '|>\\n' -}}
{%- if message.role == 'assistant' -%}
{%- generation -%}{{- message.content + eos_token -}}{%- endgeneration -%}{{- '\\n' -}}
{%- else -%}
{{- message.content + eos_token + '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}
"""
"""The template of Zephyr and of TinyLlama's chat models: any tokenizer with an end token has all
the pieces that it needs."""
_PROBE: tuple[Message, ...] = (
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello"},
)


class RefusedConversationError(Exception):
    """The template cannot write a conversation, or it cannot be told what the assistant says."""


@dataclass(frozen=True)
class Rendering:
    """A conversation, or its beginning, as the template writes it."""

    text: str
    spans: list[Span]
    """What the assistant writes."""
    answers: list[int]
    """Which messages carry loss."""
    messages: int
    """How many messages, from the first, are in it."""
    marked: bool
    """Whether the template itself said what the spans are."""


def set_template(tokenizer: PreTrainedTokenizerBase, chosen: str) -> None:
    """Gives a tokenizer the chat template that data.chat_template names; "" leaves its own.

    Raises:
        ModelError: there is no such file; or the tokenizer has no end token for "zephyr".
    """
    if chosen == "zephyr":
        if tokenizer.eos_token is None:
            raise ModelError(
                'data.chat_template = "zephyr" ends turns with the end-of-sequence token, and the '
                "tokenizer has none",
                "name a .jinja file with a template for it",
            )
        tokenizer.chat_template = ZEPHYR
    elif chosen:
        try:
            tokenizer.chat_template = Path(chosen).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"data.chat_template: {chosen} cannot be read: {error}") from error


def no_template(what: str) -> ModelError:
    """Says that the tokenizer has no chat template, which `what` needs."""
    return ModelError(
        f"{what} needs a chat template, and the tokenizer has none",
        'set data.chat_template = "zephyr", or to a .jinja file; base models often come '
        "without one: take the template that the model was or will be used with",
    )


def require_template(tokenizer: PreTrainedTokenizerBase, what: str) -> None:
    """Checks that the tokenizer has a chat template that can be used, for `what`.

    Raises:
        ModelError: it has none, or one with a fault.
    """
    if not tokenizer.chat_template:
        raise no_template(what)
    try:
        renderings(tokenizer, _PROBE)
    except RefusedConversationError as error:
        raise ModelError(
            f"the chat template cannot write a question and its answer: {error}",
            "name another one in data.chat_template",
        ) from error


def renderings(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools = ()
) -> list[Rendering]:
    """The conversation as sequences to train on: one, unless the template rewrites what was said.

    Raises:
        RefusedConversationError: says why not.
    """
    if not any(map(is_answer, messages)):
        raise RefusedConversationError("nothing in it is the assistant's")
    _require_calls(tokenizer, messages, tools)
    if _MARKS.search(_template(tokenizer, tools)):
        return [_marked(tokenizer, messages, tools)]
    whole = _render(tokenizer, messages, tools)
    try:
        return [_in_turns(tokenizer, messages, tools, whole)]
    except _RewrittenError:
        answers = [position for position, message in enumerate(messages) if is_answer(message)]
        return [_last_answer(tokenizer, messages[: position + 1], tools) for position in answers]


def question_text(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools = ()
) -> str:
    """The conversation with the header of the answer that the model is to give.

    Raises:
        RefusedConversationError: the template cannot write it.
    """
    return _render(tokenizer, messages, tools, add_generation_prompt=True)


def answer_rendering(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools = ()
) -> Rendering:
    """The conversation, of which the last message alone, an answer, carries loss.

    Raises:
        RefusedConversationError: says why not.
    """
    if not _MARKS.search(_template(tokenizer, tools)):
        return _last_answer(tokenizer, messages, tools)
    found = _marked(tokenizer, messages, tools)
    asked = _render(tokenizer, messages[:-1], tools) if messages[1:] else ""
    own = [span for span in found.spans if span[0] >= len(asked)]
    spans = own if own and found.text.startswith(asked) else found.spans[-1:]
    return Rendering(found.text, spans, [len(messages) - 1], len(messages), marked=True)


def label(tokenizer: PreTrainedTokenizerBase, rendering: Rendering) -> LabelledTokens:
    """The rendering's tokens; none is added, for a template writes the special ones itself."""
    [encoding] = encode([rendering.text], tokenizer, spelled=True)
    added, covered = added_tokens(tokenizer), extents(encoding, rendering.text)
    # a special token may swallow the blanks behind it: it belongs to where it begins
    pieces = [
        (start, start + 1) if token in added else (start, end)
        for token, (start, end) in zip(encoding.ids, covered, strict=True)
    ]
    labelled = overlapping(pieces, rendering.spans)
    if not rendering.marked:
        for position in _separators(rendering, encoding.ids, covered, labelled, added):
            labelled[position] = False
    return LabelledTokens(encoding.ids, labelled)


def _require_calls(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools
) -> None:
    """Refuses a conversation whose tool calls the template leaves out without a word."""
    silent = [without_calls(message) for message in messages]
    if silent == list(messages):
        return
    whole = _render(tokenizer, messages, tools)
    try:
        left_out = _render(tokenizer, silent, tools) == whole
    except RefusedConversationError:  # it takes no answer without a text, so it reads the calls
        return
    if left_out:
        raise RefusedConversationError("the template leaves the assistant's tool calls out")


class _RewrittenError(Exception):
    """The template writes earlier messages otherwise when others follow."""


def _template(tokenizer: PreTrainedTokenizerBase, tools: Tools) -> str:
    return tokenizer.get_chat_template(None, list(tools) or None)


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Tools,
    add_generation_prompt: bool = False,
) -> str:
    with _faults_told():
        return str(
            tokenizer.apply_chat_template(
                list(messages),
                tools=list(tools) or None,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        )


@contextmanager
def _faults_told() -> Iterator[None]:
    """Turns what a template raises for messages that it does not take into a refusal."""
    try:
        yield
    except (TemplateError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RefusedConversationError(f"the template refuses it: {reason}") from error


def _marked(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools
) -> Rendering:
    names: dict[str, Any] = dict(tokenizer.special_tokens_map)
    with _faults_told():
        rendered: Any = render_jinja_template(
            conversations=[list(messages)],
            tools=list(tools) or None,
            chat_template=_template(tokenizer, tools),
            return_assistant_tokens_mask=True,
            **names,
        )
    [text], [spans] = rendered
    found = [(start, end) for start, end in spans if start < end]
    if not found:
        raise RefusedConversationError("the template marks nothing in it as the assistant's")
    answers = [position for position, message in enumerate(messages) if is_answer(message)]
    return Rendering(text, found, answers, len(messages), marked=True)


def _in_turns(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools, whole: str
) -> Rendering:
    """The whole conversation with all its answers, each found by what comes before and with it."""
    answers = [position for position, message in enumerate(messages) if is_answer(message)]
    spans = []
    for position in answers:
        span, text = _span_of_last(tokenizer, messages[: position + 1], tools)
        if not whole.startswith(text):
            raise _RewrittenError
        spans.append(span)
    return Rendering(whole, spans, answers, len(messages), marked=False)


def _last_answer(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools
) -> Rendering:
    span, text = _span_of_last(tokenizer, messages, tools)
    return Rendering(text, [span], [len(messages) - 1], len(messages), marked=False)


def _span_of_last(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tools: Tools
) -> tuple[Span, str]:
    """Where the last message, an answer, stands in the rendering of all of them, and that."""
    asked = (
        _render(tokenizer, messages[:-1], tools, add_generation_prompt=True) if messages[1:] else ""
    )
    text = _render(tokenizer, messages, tools)
    if not asked:
        raise RefusedConversationError(
            "it begins with the assistant, and the template does not mark what is the assistant's"
        )
    if not text.startswith(asked):
        raise RefusedConversationError(
            "what the template writes before an answer is not how it writes the answer"
        )
    if len(text) == len(asked):
        raise RefusedConversationError("the template leaves an answer out")
    return (len(asked), len(text)), text


def _separators(
    rendering: Rendering,
    tokens: Sequence[int],
    covered: Sequence[Span],
    labelled: Sequence[bool],
    added: frozenset[int],
) -> Iterator[int]:
    """The labelled blanks behind the end-of-turn tokens of unmarked answers."""
    for _, end in rendering.spans:
        behind: list[int] = []
        inside = [n for n, on in enumerate(labelled) if on and covered[n][0] < end]
        for position in reversed(inside):
            if tokens[position] in added:
                yield from behind
                break
            start, stop = covered[position]
            if rendering.text[start:stop].strip():
                break
            behind.append(position)
