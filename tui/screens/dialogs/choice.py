"""A question with several answers to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from tui.content.ink import Part, fit
from tui.keys import bindings
from tui.readers.clean import clean
from tui.screens.once import DismissedOnce
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines

_CUT = 300


class Choices(Lines):
    """One line a choice: its name, and what it is."""

    def __init__(self, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="choices")
        self._choices = choices

    def on_mount(self) -> None:
        """As high as there are choices."""
        self.count = len(self._choices)
        self.styles.height = self.count + 2

    def line(self, index: int, width: int) -> list[Part]:
        """`the right answer   a right enforced by courts`."""
        names = max(len(name) for name, _ in self._choices) + 2
        name, meaning = self._choices[index]
        return [(fit(name, names), "strong"), (fit(clean(meaning, _CUT), width - names), "plain")]


class ChoiceDialog(ModalScreen[int | None], DismissedOnce[int | None]):
    """Gives the position of the choice that was taken, or None where the person takes none."""

    CSS_PATH = "../boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        """A box with the choices."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(clean(self._title))
            yield Choices(self._choices)
        yield KeyBar()

    @on(Lines.Chosen)
    def action_accept(self) -> None:
        """Takes the choice under the cursor."""
        self.dismiss(self.query_one(Choices).cursor)

    def action_leave(self) -> None:
        """Takes none."""
        self.dismiss(None)
