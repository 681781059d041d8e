"""One letter, one meaning: the table of keys is the same on every screen."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from tui.keys import KEYS, PARTS, Key, Scope, keys

README = Path(__file__).parents[2] / "README.md"
ASKED: Scope = "dialog"
"""A question over the screen takes y and n alone: they mean what every terminal means by them."""
BY_FOCUS = {"list.choose", "results.run_missing"}
"""Enter chooses in a list; results that are missing are shown without one."""


def letters(key: Key) -> set[str]:
    """What its keys write, a blank too; a key that writes nothing has a longer name."""
    return {letter for letter in key.letters({}) if len(letter) == 1}


def labels() -> dict[str, set[str]]:
    """The labels of every key that writes something."""
    told: dict[str, set[str]] = defaultdict(set)
    for key in KEYS:
        if key.scope != ASKED:
            for letter in letters(key):
                told[letter].add(key.label)
    return told


def test_a_letter_has_the_same_label_wherever_it_is_a_key() -> None:
    assert len(labels()) > 40
    assert {letter: told for letter, told in labels().items() if len(told) > 1} == {}


def test_the_readme_names_keys_as_the_table_does() -> None:
    named = re.findall(r"`(\w)`\s+([A-Z]\w+)", README.read_text())
    assert len(named) > 20
    assert [(letter, label) for letter, label in named if label not in labels()[letter]] == []


def test_capital_letters_lead_to_another_screen_a_form_or_a_list() -> None:
    capitals = {key.id for key in KEYS for letter in letters(key) if letter.isupper()}
    assert capitals - {key.id for key in KEYS if key.opens} == {"scroll.jump.-1"}
    assert {key.id for key in KEYS if key.opens} <= capitals


@pytest.mark.parametrize("scope", PARTS)
def test_a_key_does_one_thing_on_a_screen(scope: Scope) -> None:
    here = keys(scope, *PARTS[scope], "app")
    clashes = [
        (one.id, other.id)
        for one, other in combinations(here, 2)
        if set(one.names({})) & set(other.names({})) and {one.id, other.id} != BY_FOCUS
    ]
    assert clashes == []


@pytest.mark.parametrize("scope", PARTS)
def test_no_two_commands_of_a_screen_have_the_same_name(scope: Scope) -> None:
    names = [key.label for key in keys(scope, *PARTS[scope], "app")]
    assert [name for name, count in Counter(names).items() if count > 1] == []
