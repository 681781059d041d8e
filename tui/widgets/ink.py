"""Text in a few inks, for widgets that draw line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

Ink = Literal["plain", "dim", "strong", "accent", "good", "warn", "bad"]
INK_CLASSES = {f"ink--{ink}" for ink in get_args(Ink)}
Part = tuple[str, Ink]
"""Text and its ink. The text is never markup."""

ELLIPSIS = "…"


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells, ending in … where something was cut."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    return " " * (width - length) + text if right else text + " " * (width - length)


class Inked(Widget):
    """A widget that makes strips from parts."""

    COMPONENT_CLASSES: ClassVar[set[str]] = INK_CLASSES

    def ink_strip(self, parts: Sequence[Part], width: int, base: Style | None = None) -> Strip:
        """One line of `width` cells; `base` is the style under the inks."""
        under = base or self.rich_style
        segments = [
            Segment(text, under + self.get_component_rich_style(f"ink--{ink}", partial=True))
            for text, ink in parts
        ]
        return Strip(segments).adjust_cell_length(width, under).simplify()


def bar(share: float, width: int) -> list[Part]:
    """A progress bar of exactly `width` cells."""
    full = max(0, min(width, round(share * width)))
    return [("━" * full, "accent"), ("─" * (width - full), "dim")]
