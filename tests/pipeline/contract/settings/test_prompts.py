"""Prompts may be conversations: read, kept and answered as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.contract.errors import SettingsError
from pipeline.contract.settings.profiles import STARTER_CONVERSATIONS, profile, starter_prompts
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts

ASKED = {"role": "user", "content": "How far?"}
SAID = {"role": "assistant", "content": "Far."}


def write(folder: Path, *records: object) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def test_the_last_answer_is_what_is_traced(tmp_path: Path) -> None:
    system = {"role": "system", "content": "You are a map."}
    one, two = load_prompts(
        write(tmp_path, {"messages": [ASKED, SAID]}, {"messages": [system, ASKED, SAID]})
    )
    assert (one.prompt, one.completion) == ("How far?", "Far.")
    assert (two.prompt, two.completion) == ("system: You are a map.\n\nuser: How far?", "Far.")
    assert two.question == (system, ASKED)


def test_without_an_answer_the_models_own_is_traced(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "open", "messages": [ASKED]})
    with pytest.raises(SettingsError, match="'open' has an empty completion") as told:
        load_prompts(path)
    assert "end it with the assistant's message" in told.value.hint
    [found] = load_prompts(path, use_generated=True)
    assert found.question == (ASKED,)
    assert found.answered("Very far.").messages == (ASKED, {**SAID, "content": "Very far."})
    assert Prompt(id="p", prompt="At ", completion="x").answered(" sea").prompt == "At"


@pytest.mark.parametrize("prompts", [STARTER_CONVERSATIONS, [Prompt(id="p", prompt="At sea")]])
def test_what_is_saved_comes_back(tmp_path: Path, prompts: list[Prompt]) -> None:
    save_prompts(tmp_path / "p.jsonl", prompts)
    assert load_prompts(tmp_path / "p.jsonl", use_generated=True) == prompts


def test_the_profile_for_conversations_begins_with_some() -> None:
    assert all(prompt.messages for prompt in starter_prompts(profile("chat")))
    assert not any(prompt.messages for prompt in starter_prompts(profile("own-text")))


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"messages": [ASKED], "prompt": "x"}, "either messages, or a prompt and a completion"),
        ({"messages": []}, "the conversation has no messages"),
        ({"messages": [SAID]}, "the conversation begins with the answer"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "the type 'image'"),
    ],
)
def test_what_is_no_conversation_is_refused_by_its_place(
    tmp_path: Path, record: object, told: str
) -> None:
    with pytest.raises(SettingsError, match=f"prompts.jsonl:1: .*{told}"):
        load_prompts(write(tmp_path, record))
