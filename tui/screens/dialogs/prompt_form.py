"""A form for one prompt."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static, TextArea

from pipeline.contract.settings.prompts import Prompt
from tui.keys import bindings
from tui.readers.clean import clean, visible_letters
from tui.screens.breakpoints import HEIGHTS
from tui.screens.once import DismissedOnce
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar


class PromptForm(ModalScreen[Prompt | None], DismissedOnce[Prompt | None]):
    """Gives the prompt as it was written, or None where the person changes their mind."""

    CSS_PATH = ["../boxes.tcss", "../editors.tcss"]  # noqa: RUF012 (Textual's own way to name two)
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")

    def __init__(self, prompt: Prompt, fault: Callable[[Prompt], str]) -> None:
        """`fault` says what is wrong with a prompt, or nothing."""
        super().__init__()
        self._prompt, self._fault = prompt, fault

    def compose(self) -> ComposeResult:
        """The fields, and what is wrong with them."""
        with Vertical(id="dialog") as box:
            box.border_title = "Prompt"
            box.border_subtitle = "Tab goes on"
            yield Label("id")
            yield Entry(self._prompt.id, id="id")
            yield Label("prompt")
            yield Words(self._prompt.prompt, id="prompt")
            yield Label("completion: only its tokens are traced; begin it with a blank")
            yield Words(self._prompt.completion, id="completion")
            yield Label("documents known to state it, if any, by their ids")
            yield Entry(", ".join(self._prompt.relevant), id="relevant")
            yield Static(id="fault")
        yield KeyBar()

    @property
    def written(self) -> Prompt:
        """The prompt as the fields say."""
        named = self.query_one("#relevant", Input).value.split(",")
        return Prompt(
            id=self.query_one("#id", Input).value.strip(),
            prompt=self.query_one("#prompt", TextArea).text,
            completion=self.query_one("#completion", TextArea).text,
            relevant=tuple(name.strip() for name in named if name.strip()),
        )

    def fault(self) -> str:
        """What is wrong with what is written, or nothing."""
        return self._fault(self.written)

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _check(self) -> bool:
        fault = clean(self.fault())
        self.query_one("#fault", Static).update(Content.styled(fault, "$error"))
        return not fault

    @on(Input.Submitted)
    def action_accept(self) -> None:
        """Takes what is written, if nothing is wrong with it; else says what is."""
        if self._check():
            self.dismiss(self.written)

    def action_leave(self) -> None:
        """Ends without an answer."""
        self.dismiss(None)


class Words(TextArea):
    """Some lines; letters that a terminal would obey are drawn as symbols."""

    def __init__(self, text: str, id: str) -> None:
        super().__init__(text, id=id, tab_behavior="focus", soft_wrap=True)
        self.cursor_blink = False

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn: as many letters as it has."""
        return Text(visible_letters(self.document.get_line(line_index)), end="", no_wrap=True)
