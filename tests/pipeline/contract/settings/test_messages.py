"""Conversations of every usual shape become messages with a role and a text, or are refused."""

from __future__ import annotations

import json

import pytest

from pipeline.contract.settings.messages import (
    MessagesError,
    read_messages,
    read_tools,
    transcript,
)

ASKED = {"role": "user", "content": "How far?"}
SAID = {"role": "assistant", "content": "Far."}


@pytest.mark.parametrize(
    "given",
    [
        [ASKED, SAID],
        json.dumps([ASKED, SAID]),
        [{"from": "human", "value": "How far?"}, {"from": "gpt", "value": "Far."}],
        [ASKED, {"role": "assistant", "content": [{"type": "text", "text": "Fa"},
                                                  {"type": "text", "text": "r."}]}],
        [{**ASKED, "name": None, "tool_calls": None}, SAID],
    ],
)  # fmt: skip
def test_the_same_conversation_in_every_shape(given: object) -> None:
    assert read_messages(given) == [ASKED, SAID]


def test_calls_and_their_results_are_kept() -> None:
    call = {"name": "distance", "arguments": {"to": "Oslo"}}
    given = [
        {"from": "human", "value": "How far?"},
        {"from": "function_call", "value": json.dumps(call)},
        {"from": "observation", "value": "460"},
        {"from": "gpt", "value": "Far."},
    ]
    found = read_messages(given)
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "assistant"]
    assert found[1]["tool_calls"] == [{"type": "function", "function": call}]
    columnar = {"role": "assistant", "content": None, "tool_calls": [
        {"function": {"name": "f", "arguments": {"a": 1, "b": None}}}]}  # fmt: skip
    [read] = read_messages([columnar])
    assert read == {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "the conversation has no messages"),
        ("[", "the conversation is not JSON"),
        (7, "is no list of messages but int"),
        (["hello"], "message 1 is no JSON object"),
        ([ASKED, {"role": "critic", "content": "x"}], "message 2 has the role 'critic'; known: "),
        ([{"from": "alien", "value": "x"}], "message 1 is from 'alien'; known: "),
        ([{"role": "user"}], r"message 1 \(user\) has no content"),
        ([{"role": "assistant", "content": None}], r"message 1 \(assistant\) has no content"),
        ([{"role": "user", "content": 7}], "has a content that is no text but int"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url"}]}],
            "message 1 holds a part of the type 'image_url': only text can be traced",
        ),
        ([{"role": "user", "content": [{"type": "image"}]}], "a part of the type 'image'"),
    ],
)
def test_what_is_no_conversation_is_refused_by_name(given: object, told: str) -> None:
    with pytest.raises(MessagesError, match=told):
        read_messages(given)


def test_tools_may_be_json_or_absent() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    assert read_tools(json.dumps([tool])) == read_tools([tool]) == [tool]
    assert read_tools(None) == read_tools("") == []
    with pytest.raises(MessagesError, match="the list of tools is no list of JSON objects"):
        read_tools(["f"])


def test_a_transcript_says_who_speaks() -> None:
    assert transcript([ASKED, SAID]) == "user: How far?\n\nassistant: Far."
