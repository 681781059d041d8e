"""A question with two answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import bindings


class Question(ModalScreen[bool]):
    """Asks before something that cannot be taken back; gives True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")

    def __init__(self, title: str, text: str, yes: str, no: str) -> None:
        super().__init__()
        self._title, self._text, self._answers = title, text, (yes, no)

    def compose(self) -> ComposeResult:
        """A box with the question and the keys that answer it."""
        yes, no = self._answers
        with Vertical(id="dialog") as box:
            box.border_title = Content(self._title).markup
            yield Static(Content(self._text))
            yield Static(
                Content.assemble(
                    ("y", "bold $accent"), f"  {yes}      ", ("n", "bold $accent"), f"  {no}"
                ),
                id="answers",
            )

    def action_answer(self, answer: bool) -> None:
        """Ends the question."""
        self.dismiss(answer)
