"""A list with a cursor that draws only the lines in view: a million cost as much as ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.content.ink import Part
from tui.keys import bindings
from tui.widgets.inked import Inked

GUTTER = 2
"""Cells before every line, where the cursor is marked."""


class Lines(ScrollView, Inked, can_focus=True):
    """Subclasses say what a line holds (`line`) and set `count`."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list"), *bindings("scroll")]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor"}

    count: reactive[int] = reactive(0)
    cursor: reactive[int] = reactive(0, repaint=False)
    empty: reactive[str] = reactive("")
    """What is said where there are no lines."""

    @dataclass
    class Moved(Message):
        """The cursor is on another line."""

        lines: Lines
        index: int

        @property
        def control(self) -> Lines:
            """The list."""
            return self.lines

    @dataclass
    class Chosen(Message):
        """Enter was pressed, or the line under the cursor was clicked."""

        lines: Lines
        index: int

        @property
        def control(self) -> Lines:
            """The list."""
            return self.lines

    def line(self, index: int, width: int) -> list[Part]:
        """What line `index` shows in `width` cells."""
        raise NotImplementedError

    def header(self, width: int) -> list[Part] | None:
        """What stands above the lines and stays when they scroll."""
        return None

    @property
    def _header_height(self) -> int:
        return 0 if self.header(1) is None else 1

    def validate_cursor(self, cursor: int) -> int:
        """Keeps the cursor on a line."""
        return max(0, min(cursor, self.count - 1))

    def watch_count(self) -> None:
        """Lines have come or gone."""
        self.virtual_size = Size(0, self.count + self._header_height)
        if self.count > self.app.size.height:  # else found out by a layout, and laid out again
            self.show_vertical_scrollbar = True
        self.cursor = self.validate_cursor(self.cursor)
        self.refresh()

    def watch_cursor(self, old: int, new: int) -> None:
        """The cursor has moved: shows it, and says so."""
        if old != new:
            height = 1 + self._header_height  # the header covers the line above the cursor's
            self.scroll_to_region(Region(0, new, 1, height), animate=False, force=True)
            self._refresh_line_of(old)
            self._refresh_line_of(new)
            self.post_message(self.Moved(self, new))

    def _refresh_line_of(self, index: int) -> None:
        """Paints one line again, where it is in view."""
        y = index + self._header_height - self.scroll_offset.y
        if self._header_height <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def on_resize(self) -> None:
        """Keeps the cursor in view; there may be a header now, or none any more."""
        self.virtual_size = Size(0, self.count + self._header_height)
        if self.cursor < self.size.height - self._header_height:
            self.scroll_to(y=0, animate=False, force=True)  # room for the lines above it, too
            return
        height = 1 + self._header_height
        self.scroll_to_region(Region(0, self.cursor, 1, height), animate=False, force=True)

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.scrollable_content_region.width
        above = self._header_height
        if y < above and (header := self.header(max(width - GUTTER, 0))) is not None:
            return self.ink_strip([(" " * GUTTER, "dim"), *header], width)
        index = self.scroll_offset.y + y - above
        if self.count == 0 and y == above + 1:
            return self.ink_strip([(" " * GUTTER + self.empty, "dim")], width)
        if not 0 <= index < self.count:
            return Strip([Segment(" " * width, self.rich_style)])
        at_cursor = index == self.cursor
        gutter: Part = ("▌ ", "accent") if at_cursor else ("  ", "dim")
        return self.ink_strip(
            [gutter, *self.line(index, width - GUTTER)], width, self._line_style(at_cursor)
        )

    def _line_style(self, at_cursor: bool) -> Style:
        if at_cursor and self.has_focus:
            return self.get_component_rich_style("lines--cursor")
        return self.rich_style

    def on_focus(self) -> None:
        """The cursor line is marked more strongly."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor line is marked less strongly."""
        self.refresh()

    def choose_column(self, x: int) -> None:
        """The header was clicked, at a cell of a line."""

    def on_click(self, event: events.Click) -> None:
        """Moves the cursor; a click on the cursor's line chooses it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self._header_height:
            self.choose_column(offset.x - GUTTER)
            return
        index = self.scroll_offset.y + offset.y - self._header_height
        if index >= self.count:
            return
        if index == self.cursor:
            self.action_choose()
        self.cursor = index

    def action_move(self, lines: int) -> None:
        """Moves the cursor down, or up."""
        self.cursor += lines

    def action_page(self, pages: int) -> None:
        """Moves the cursor by a screenful."""
        self.cursor += pages * max(1, self.size.height - self._header_height - 1)

    def action_jump(self, index: int) -> None:
        """Moves the cursor to a line; negative counts from the end."""
        self.cursor = index if index >= 0 else self.count + index

    def action_choose(self) -> None:
        """Chooses the line under the cursor."""
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))
