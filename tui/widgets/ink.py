"""Text in a few inks, for widgets that draw line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

Series = Literal["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]
Ink = Literal["plain", "dim", "strong", "accent", "good", "warn", "bad", "key"] | Series
SERIES: tuple[Series, ...] = get_args(Series)
"""Inks that are told apart in one chart."""
INK_CLASSES = {f"ink--{ink}" for names in get_args(Ink) for ink in get_args(names)}
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
    _ink_styles: dict[Ink, Style] | None = None

    def notify_style_update(self) -> None:
        """Other colours may hold now."""
        super().notify_style_update()
        self._ink_styles = None

    def _ink_style(self, ink: Ink) -> Style:
        """The style of an ink, looked up once for as long as the style sheet holds."""
        if self._ink_styles is None:
            self._ink_styles = {}
        if ink not in self._ink_styles:
            self._ink_styles[ink] = self.get_component_rich_style(f"ink--{ink}", partial=True)
        return self._ink_styles[ink]

    def ink_strip(self, parts: Sequence[Part], width: int, base: Style | None = None) -> Strip:
        """One line of `width` cells; `base` is the style under the inks."""
        under = base or self.rich_style
        segments = [Segment(text, under + self._ink_style(ink)) for text, ink in parts]
        return Strip(segments).adjust_cell_length(width, under).simplify()


def bar(share: float, width: int) -> list[Part]:
    """A progress bar of exactly `width` cells."""
    full = max(0, min(width, round(share * width)))
    return [("━" * full, "accent"), ("─" * (width - full), "dim")]
