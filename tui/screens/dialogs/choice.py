"""A question with several answers to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.content.ink import Part, fit
from tui.keys import bindings
from tui.readers.clean import clean, clean_lines
from tui.screens.breakpoints import HEIGHTS
from tui.screens.once import DismissedOnce
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines

_CUT = 300


@dataclass(frozen=True)
class Choice:
    """An answer. The texts may come from data as they are."""

    name: str
    meaning: str
    """Stands beside the name."""
    text: str = ""
    """Is told below the choices while the cursor is on this one."""


class Choices(Lines):
    """One line a choice: its name, and what it is."""

    def __init__(self, choices: Sequence[Choice], current: int) -> None:
        super().__init__(id="choices")
        self.choices, self._current = choices, current

    def on_mount(self) -> None:
        """As high as there are choices, the cursor on what holds now."""
        self.count = len(self.choices)
        self.styles.height = self.count + 2
        self.cursor = self._current

    @property
    def selected(self) -> Choice:
        """The choice under the cursor."""
        return self.choices[self.cursor]

    def line(self, index: int, width: int) -> list[Part]:
        """`the right answer   a right enforced by courts`: a long name leaves the meaning room."""
        choice = self.choices[index]
        longest = max(cell_len(clean(one.meaning, _CUT)) for one in self.choices)
        names = max(cell_len(clean(one.name, _CUT)) for one in self.choices) + 2
        names = min(names, max(width // 2, width - longest - 2))
        return [
            (fit(clean(choice.name, _CUT), names - 2) + "  ", "strong"),
            (fit(clean(choice.meaning, _CUT), width - names), "plain"),
        ]


class ChoiceDialog(ModalScreen[int | None], DismissedOnce[int | None]):
    """Gives the position of the choice that was taken, or None where the person takes none."""

    CSS_PATH = "../boxes.tcss"
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")

    def __init__(self, title: str, choices: Sequence[Choice], current: int = 0) -> None:
        """`current`: the choice that the cursor is on at first."""
        super().__init__()
        self._title, self._choices, self._current = title, choices, current

    def compose(self) -> ComposeResult:
        """A box with the choices, and what is told of the one under the cursor."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(clean(self._title))
            yield Choices(self._choices, self._current)
            if any(choice.text for choice in self._choices):
                yield Static(id="told")
        yield KeyBar()

    def on_mount(self) -> None:
        """Tells of the choice that holds now."""
        self._tell()

    @on(Lines.Moved)
    def _tell(self) -> None:
        text = clean_lines(self.query_one(Choices).selected.text, _CUT)
        for told in self.query("#told").results(Static):
            told.update(Content(text))

    @on(Lines.Chosen)
    def action_accept(self) -> None:
        """Takes the choice under the cursor."""
        self.dismiss(self.query_one(Choices).cursor)

    def action_leave(self) -> None:
        """Takes none."""
        self.dismiss(None)
