"""Colours: every text is read easily, and what is stronger looks stronger."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from tests.tui import sample_run
from tests.tui.watching import until_shown
from tui.app import HeadwaterApp
from tui.content.heat import colour
from tui.content.tint import tint
from tui.themes import DEFAULTS, HEADWATER, LIGHT, LIGHT_DEFAULTS
from tui.widgets.entry import Entry

READABLE = 4.5
"""Contrast that WCAG 2.1 asks of text: 1.4.3."""
TEXTS = ("foreground", "secondary", "accent", "success", "warning", "error", "pro", "con",
         *(f"series-{number}" for number in range(8)))  # fmt: skip
GROUNDS = ("background", "panel")
"""Of a screen, and of the line under the cursor."""


def colours_of(theme: Theme) -> Mapping[str, str]:
    defaults = DEFAULTS if theme.dark else LIGHT_DEFAULTS
    return {**defaults, **theme.to_color_system().generate()}


def luminance(color: Color) -> float:
    parts = [value / 255 for value in (color.r, color.g, color.b)]
    red, green, blue = (v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [HEADWATER, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", GROUNDS)
def test_every_text_stands_out_from_its_ground(theme: Theme, ground: str) -> None:
    colours = colours_of(theme)
    under = Color.parse(colours[ground])
    found = {name: contrast(Color.parse(colours[name]), under) for name in TEXTS}
    assert {name: round(ratio, 2) for name, ratio in found.items() if ratio < READABLE} == {}


@pytest.mark.parametrize("theme", [HEADWATER, LIGHT], ids=lambda theme: theme.name)
async def test_what_an_empty_entry_says_is_read_on_its_ground(theme: Theme, tmp_path: Path) -> None:
    for name in ("one", "two"):
        sample_run.new_run(tmp_path, name)
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Runs · 2")
        app.theme = theme.name
        await pilot.press("slash")
        await until_shown(pilot, "fields: run, state")
        await pilot.pause()
        said = app.screen.query_one("#filter", Entry).get_component_rich_style("input--placeholder")
        assert said.color
        assert said.bgcolor
        inks = (Color.from_rich_color(colour) for colour in (said.color, said.bgcolor))
        assert contrast(*inks) >= READABLE


@pytest.mark.parametrize("theme", [HEADWATER, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize("share", [-1.0, 1.0])
def test_the_strongest_tokens_letters_are_read_on_its_ground(theme: Theme, share: float) -> None:
    colours = colours_of(theme)
    match = re.fullmatch(r"on \$(\w+) (\d+)%", tint(share, few_colours=False))
    assert match
    ground = Color.parse(colours["background"])
    deep = ground.blend(Color.parse(colours[match[1]]), int(match[2]) / 100)
    assert contrast(Color.parse(colours["foreground"]), deep) >= READABLE
    assert contrast(ground, deep) > 1.5  # and it is seen


@pytest.mark.parametrize("few", [False, True], ids=["true colours", "256 colours"])
def test_a_higher_value_is_never_darker_on_the_map(few: bool) -> None:
    system = ColorSystem.EIGHT_BIT if few else ColorSystem.TRUECOLOR
    shown = [colour(step / 200, few).downgrade(system).get_truecolor() for step in range(201)]
    lights = [luminance(Color(*one)) for one in shown]
    assert [n for n, (a, b) in enumerate(itertools.pairwise(lights)) if b < a] == []
    assert len(set(shown)) >= 10
