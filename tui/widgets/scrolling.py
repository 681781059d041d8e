"""The same keys for every text that scrolls."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from tui.keys import bindings


class Scrolling(Widget):
    """A widget that scrolls by the keys of lists."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("scroll")

    def action_move(self, lines: int) -> None:
        """Scrolls by lines."""
        self.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scrolls by screenfuls."""
        self.scroll_relative(y=pages * max(1, self.size.height - 1), animate=False)

    def action_jump(self, index: int) -> None:
        """Scrolls to the start, or to the end."""
        if index < 0:
            self.scroll_end(animate=False)
        else:
            self.scroll_home(animate=False)


class TextPane(VerticalScroll, Scrolling, can_focus=True):
    """A text that may be longer than the screen."""
