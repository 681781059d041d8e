"""A line to write in."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import Input

from tui.keys import bindings
from tui.readers.clean import visible_letters


class Entry(Input):
    """Letters that a terminal would obey are drawn as symbols, and the cursor does not blink: a
    blinking one costs two kilobytes a second."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("entry")

    def __init__(self, value: str = "", placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder, id=id, select_on_focus=False)
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        return Text(visible_letters(self.value), no_wrap=True, overflow="ignore", end="")
