"""How the tokens of an example are told."""

from __future__ import annotations

from tui.content.example_text import LEGENDS


def test_what_colours_and_signs_mean_has_room_below_a_text_on_a_large_screen() -> None:
    beside_the_parts = 120 - 52  # cells of the text's panel
    frame = len("╰─  ─╯")
    assert max(map(len, LEGENDS.values())) <= beside_the_parts - frame
