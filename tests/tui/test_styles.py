"""A screen's style sheet, once parsed, holds for every other screen too."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.css.model import SelectorType
from textual.css.stylesheet import Stylesheet

import tui.screens
from tui.themes import DEFAULTS

SHEETS = sorted(Path(tui.screens.__file__).parent.glob("*.tcss"))


@pytest.mark.parametrize("path", SHEETS, ids=[path.stem for path in SHEETS])
def test_every_rule_names_the_screen_or_the_widget_that_it_is_for(path: Path) -> None:
    """`#meaning { border: … }` of the settings framed the line below a question, too."""
    sheet = Stylesheet(variables={**DEFAULTS, **dict.fromkeys(_COLOURS, "#808080")})
    sheet.read(path)
    firsts = [selectors.selectors[0] for rule in sheet.rules for selectors in rule.selector_set]
    assert firsts
    assert {first.name for first in firsts if first.type != SelectorType.TYPE} == set()


_COLOURS = (
    "accent",
    "background",
    "border",
    "error",
    "foreground",
    "panel",
    "secondary",
    "success",
    "surface",
    "warning",
)
