"""The base of the widgets that draw text in inks, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.content.ink import INKS, SERIES, Ink, Part
from tui.themes import DEFAULTS

_COLOURS: dict[Ink, str] = {
    "dim": "secondary",
    "accent": "accent",
    "good": "success",
    "warn": "warning",
    "bad": "error",
    "pro": "pro",
    "con": "con",
    "key": "accent",
    **{series: f"series-{number}" for number, series in enumerate(SERIES)},
}
"""Ink → the theme's variable. Not by the style sheet: a look-up for each widget and each ink takes
a tenth of a start."""
_BOLD: tuple[Ink, ...] = ("strong", "key")


class Inked(Widget):
    """A widget that makes strips from parts, and paints again only the lines that have changed.

    Over a slow line what is sent is what counts: Textual itself sends a whole widget again.
    """

    ALLOW_SELECT: ClassVar[bool] = False
    """To begin to select text by the mouse paints the whole screen."""

    _ink_styles: dict[Ink, Style] | None = None
    _held_style: Style | None = None
    _titles = ("", "")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # a list is a scroll view too, which takes more
        self._shown: dict[int, Strip] = {}

    def draw_line(self, y: int) -> Strip:
        """One line of the widget, as it should look now."""
        raise NotImplementedError

    @property
    def rich_style(self) -> Style:
        """Textual's, which asks every ancestor: once for all lines of a painting."""
        return self._held_style or super().rich_style

    @contextmanager
    def _one_style(self) -> Iterator[None]:
        self._held_style = super().rich_style
        try:
            yield
        finally:
            self._held_style = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some lines for the screen."""
        with self._one_style():
            return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line for the screen."""
        self._shown[y] = self.draw_line(y)
        return self._shown[y]

    def refresh_changed(self) -> None:
        """Paints the cells that look otherwise than they did."""
        width, height = self.size
        with self._one_style():  # what was never painted is drawn when it is
            now = {y: self.draw_line(y) for y in range(height) if y in self._shown}
        for y in range(height):
            if y not in now:
                self.refresh(Region(0, y, width, 1))
            elif (old := self._shown[y]) != now[y]:
                begin, end = _difference(old, now[y])
                self.refresh(Region(begin, y, end - begin, 1))

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Names the panel; the names are never markup, and cost nothing while they stay."""
        if (title, subtitle) != self._titles:
            self._titles = (title, subtitle)
            self.border_title, self.border_subtitle = Content(title), Content(subtitle)

    def notify_style_update(self) -> None:
        """Other colours may hold now."""
        super().notify_style_update()
        self._ink_styles = None

    def _ink_style(self, ink: Ink) -> Style:
        """The style of an ink, looked up once for as long as the theme holds."""
        if self._ink_styles is None:
            colours = {**DEFAULTS, **self.app.theme_variables}
            self._ink_styles = {
                ink: Style(
                    color=Color.parse(colours[_COLOURS[ink]]).rich_color
                    if ink in _COLOURS
                    else None,
                    bold=ink in _BOLD or None,
                )
                for ink in INKS
            }
        return self._ink_styles[ink]

    def ink_strip(self, parts: Sequence[Part], width: int, base: Style | None = None) -> Strip:
        """One line of `width` cells; `base` is the style under the inks. One that swaps text and
        ground has no inks: each would be a ground of another colour."""
        under = base or self.rich_style
        inks = {ink: Style(bold=ink in _BOLD or None) for ink in INKS} if under.reverse else None
        segments = [
            Segment(text, under + (inks[ink] if inks else self._ink_style(ink)))
            for text, ink in parts
        ]
        return Strip(segments).adjust_cell_length(width, under).simplify()


def _difference(old: Strip, new: Strip) -> tuple[int, int]:
    """The first cell that differs, and the one after the last. Strips of equal length."""
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        return 0, max(len(before), len(after))
    differing = [x for x, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    return (differing[0], differing[-1] + 1) if differing else (0, 0)


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """Every cell with its style; a letter of two cells counts as two."""
    return [
        (letter, style)
        for text, style, _ in strip
        for letter in text
        for _ in range(cell_len(letter))
    ]
