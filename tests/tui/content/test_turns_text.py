"""A conversation says who speaks, and what of it carries loss, also without colours."""

from __future__ import annotations

from pipeline.contract.results.examples import Turn
from pipeline.contract.results.tokens import TokenScores
from tui.content.example_text import example_text, turns_text

TURNS = (
    Turn("system", "You are a map.", False),
    Turn("user", "How far?\x1b[31m", False),
    Turn("assistant", "Far.\nVery far.", True),
)


def styles(text: str, content: object) -> set[str]:
    """The styles of a piece of the content."""
    plain = str(content)
    begin = plain.index(text)
    spans = content.spans  # type: ignore[attr-defined]
    return {str(s.style) for s in spans if s.start <= begin and s.end >= begin + len(text)}


def test_every_turn_stands_under_its_role() -> None:
    shown = turns_text(TURNS)
    lines = shown.plain.splitlines()
    assert lines[0] == "system"
    assert "assistant · carries loss" in lines
    assert shown.plain.endswith("Far.\nVery far.")
    assert "\x1b" not in shown.plain


def test_what_carries_no_loss_stands_back() -> None:
    shown = turns_text(TURNS)
    assert styles("You are a map.", shown) == {"$secondary"}
    assert styles("Very far.", shown) == set()
    tokens = TokenScores(["<|user|>", " Far", "</s>"], [0.0, 0.5, -0.2], [False, True, True])
    told = example_text("", tokens, "signs", few_colours=True, turns=TURNS)
    assert styles("<|user|>", told) == {"$secondary"}
    assert styles("Far", told) != {"$secondary"}


def test_tokens_are_left_for_the_turns_where_they_are_not_wanted() -> None:
    tokens = TokenScores(["x"], [0.0], [True])
    assert example_text("text", tokens, "plain", True, TURNS) == turns_text(TURNS)
    assert example_text("text", None, "colour", True, TURNS) == turns_text(TURNS)
    assert example_text("text", None, "colour", True).plain == "text"
