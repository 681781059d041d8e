"""Loss lies on what the assistant says, as the chat template itself would mark it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.messages import Message
from pipeline.corpus.chat import (
    RefusedConversationError,
    answer_rendering,
    label,
    question_text,
    renderings,
    require_template,
    set_template,
)
from pipeline.corpus.labelling import LabelledTokens
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.pretrained.decoding import end_of_turn
from tests.pipeline.corpus.chat_templates import (
    CHATML,
    FAMILIES,
    GEMMA,
    PHI3,
    QWEN3,
    chat_tokenizer,
)


def said(*turns: str, system: str = "") -> list[Message]:
    """A conversation of user and assistant in turn."""
    roles = ("user", "assistant") * len(turns)
    messages = [{"role": r, "content": t} for r, t in zip(roles, turns, strict=False)]
    return [*([{"role": "system", "content": system}] if system else []), *messages]


SHORT = said("How far is Oslo?", "It is far.")
LONG = said(
    "How far is Oslo?", "It is far.", "And Tromsø?", "\n\nFarther  still: 1,700 km!", "Hm.", "…"
)
OPEN = said("Hello!", "Hello!", "And Tromsø?")
EMPTY = said("Hello!", "", "And?", " ")
TOLD = said("How far is Oslo?", "Some 460 km.", "And now?", "As far.", system="You are a map.")
CONVERSATIONS = {"short": SHORT, "long": LONG, "open": OPEN, "empty": EMPTY, "system": TOLD}
CALLS: list[Message] = [
    {"role": "user", "content": "How far is Oslo?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "distance", "arguments": {"to": "Oslo"}}}]},
    {"role": "tool", "content": "460"},
    {"role": "tool", "content": "km"},
    {"role": "assistant", "content": "It is 460 km."},
]  # fmt: skip
LISTED = [(family, name) for family in FAMILIES for name in CONVERSATIONS]


def library_mask(tokenizer: PreTrainedTokenizerBase, messages: list[Message]) -> LabelledTokens:
    found: Any = tokenizer.apply_chat_template(
        messages, return_dict=True, return_assistant_tokens_mask=True
    )
    return LabelledTokens(found["input_ids"], [bool(one) for one in found["assistant_masks"]])


def ours(tokenizer: PreTrainedTokenizerBase, messages: list[Message]) -> LabelledTokens:
    [rendering] = renderings(tokenizer, messages)
    return label(tokenizer, rendering)


def takes(family: str, name: str) -> bool:
    return name != "system" or family not in ("gemma", "mistral")


@pytest.mark.parametrize(("family", "name"), [pair for pair in LISTED if takes(*pair)])
def test_a_marked_template_gives_the_librarys_own_mask(family: str, name: str) -> None:
    tokenizer = chat_tokenizer(FAMILIES[family], marked=True)
    assert ours(tokenizer, CONVERSATIONS[name]) == library_mask(tokenizer, CONVERSATIONS[name])


@pytest.mark.parametrize(
    ("family", "name"), [pair for pair in LISTED if takes(*pair) and pair[0] != "qwen3"]
)
def test_turn_by_turn_gives_the_mask_that_the_marks_would(family: str, name: str) -> None:
    found = ours(chat_tokenizer(FAMILIES[family]), CONVERSATIONS[name])
    marked = chat_tokenizer(FAMILIES[family], marked=True)
    assert found == library_mask(marked, CONVERSATIONS[name])
    assert any(found.labelled)


def test_a_header_that_swallows_the_answers_first_blanks_carries_no_loss() -> None:
    tokenizer = chat_tokenizer(PHI3)
    greedy = AddedToken("<|assistant|>", rstrip=True, special=True)
    tokenizer.add_special_tokens({"additional_special_tokens": [greedy]})
    found = ours(tokenizer, said("Hello!", "  Hello!"))
    header = tokenizer.convert_tokens_to_ids("<|assistant|>")
    assert header in found.tokens
    assert not found.labelled[found.tokens.index(header)]
    spoken = [token for token, on in zip(found.tokens, found.labelled, strict=True) if on]
    assert tokenizer.decode(spoken) == "Hello!<|end|>"


def test_tool_calls_carry_loss_and_their_results_do_not() -> None:
    found = ours(chat_tokenizer(CHATML), CALLS)
    tokenizer = chat_tokenizer(CHATML, marked=True)
    assert found == library_mask(tokenizer, CALLS)
    spoken = [token for token, on in zip(found.tokens, found.labelled, strict=True) if on]
    text = tokenizer.decode(spoken)
    assert '"arguments": {"to": "Oslo"}' in text
    assert "It is 460 km.<|im_end|>" in text
    assert "tool_response" not in text


def test_a_template_that_rewrites_earlier_turns_gives_one_sequence_an_answer() -> None:
    tokenizer, marked = chat_tokenizer(QWEN3), chat_tokenizer(QWEN3, marked=True)
    messages = said("Hello!", "<think>\nFirst the map.\n</think>\n\nHello!", "And Tromsø?", "Far.")
    found = [label(tokenizer, one) for one in renderings(tokenizer, messages)]
    assert len(found) == 2
    first = library_mask(marked, messages[:2])
    assert found[0] == first  # with its reasoning, as it was said
    last = library_mask(marked, messages)
    assert found[1].tokens == last.tokens  # without, as the model sees it afterwards
    starts = [n for n, (a, b) in enumerate(pairwise([False, *last.labelled])) if b and not a]
    expected = [on and n >= starts[1] for n, on in enumerate(last.labelled)]
    assert found[1].labelled == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_what_stands_before_an_answer_is_what_the_model_is_asked(family: str) -> None:
    tokenizer = chat_tokenizer(FAMILIES[family])
    asked = question_text(tokenizer, LONG[:-1])
    rendering = answer_rendering(tokenizer, LONG)
    assert rendering.text.startswith(asked)
    assert rendering.spans[0][0] == len(asked)
    marked = chat_tokenizer(FAMILIES[family], marked=True)
    assert label(marked, answer_rendering(marked, LONG)) == label(tokenizer, rendering)


@pytest.mark.parametrize(
    ("family", "end"),
    [("chatml", "<|im_end|>"), ("qwen3", "<|im_end|>"), ("llama-3", "<|eot_id|>"),
     ("gemma", "<end_of_turn>"), ("mistral", "</s>"), ("phi-3", "<|end|>")],
)  # fmt: skip
@pytest.mark.parametrize("marked", [False, True])
def test_the_token_that_ends_a_turn_is_known(family: str, end: str, marked: bool) -> None:
    tokenizer = chat_tokenizer(FAMILIES[family], marked)
    assert end_of_turn(tokenizer) == tokenizer.convert_tokens_to_ids(end)


def test_no_template_no_end_of_turn() -> None:
    assert end_of_turn(train_tokenizer(["Hello"], 300)) is None


def test_a_special_token_is_not_written_twice() -> None:
    for family, template in FAMILIES.items():
        tokens = ours(chat_tokenizer(template), SHORT).tokens
        begin = chat_tokenizer(template).bos_token_id
        assert tokens.count(begin) == (family in ("gemma", "mistral"))


@pytest.mark.parametrize(
    ("template", "messages", "reason"),
    [
        (GEMMA, TOLD, "System role not supported"),
        (GEMMA, said("Hello!", "Hello!")[::-1], "must alternate"),
        (CHATML, said("Hello!", "Hello!")[1:], "begins with the assistant"),
        (CHATML, said("Hello!"), "nothing in it is the assistant's"),
        (GEMMA, CALLS[:2], "leaves the assistant's tool calls out"),
        (
            "{% for m in messages %}{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}<think>{% endif %}",
            SHORT,
            "not how it writes the answer",
        ),
        (
            "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
            SHORT,
            "leaves an answer out",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_with_its_reason(
    template: str, messages: list[Message], reason: str
) -> None:
    with pytest.raises(RefusedConversationError, match=reason):
        renderings(chat_tokenizer(template), messages)


def test_without_a_template_one_is_told_what_to_do() -> None:
    tokenizer = train_tokenizer(["Hello"], 300)
    with pytest.raises(
        ModelError, match="needs a chat template, and the tokenizer has none"
    ) as told:
        require_template(tokenizer, 'data.form = "chat"')
    assert 'data.chat_template = "zephyr"' in told.value.hint
    set_template(tokenizer, "zephyr")
    require_template(tokenizer, 'data.form = "chat"')
    assert end_of_turn(tokenizer) == tokenizer.eos_token_id
    assert ours(tokenizer, LONG) == library_mask(tokenizer, LONG)
