"""A form for one prompt that is a conversation."""

from __future__ import annotations

import json

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Label, Static, TextArea

from pipeline.contract.settings.messages import MessagesError, is_answer, read_messages
from pipeline.contract.settings.prompts import Prompt
from tui.screens.dialogs.prompt_form import PromptForm, Words
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar

_CALLED = "messages, as JSON; the assistant's last one is what is traced"


class ConversationForm(PromptForm):
    """As `PromptForm`, with the messages as they stand in a file of prompts."""

    DEFAULT_CSS = """
    ConversationForm #messages { height: 8; }
    ConversationForm.-tall #messages { height: 18; }
    """

    def compose(self) -> ComposeResult:
        """The fields, and what is wrong with them."""
        messages = json.dumps(self._prompt.as_written()["messages"], indent=1, ensure_ascii=False)
        with Vertical(id="dialog") as box:
            box.border_title = "Prompt"
            box.border_subtitle = "Tab goes on"
            yield Label("id")
            yield Entry(self._prompt.id, id="id")
            yield Label(_CALLED)
            yield Words(messages, id="messages")
            yield Label("documents known to state it, if any, by their ids")
            yield Entry(", ".join(self._prompt.relevant), id="relevant")
            yield Static(id="fault")
        yield KeyBar()

    @property
    def written(self) -> Prompt:
        """The prompt as the fields say.

        Raises:
            MessagesError: the messages are none.
        """
        messages = read_messages(self.query_one("#messages", TextArea).text)
        if is_answer(messages[0]):
            raise MessagesError("begins with the answer")
        named = self.query_one("#relevant", Input).value.split(",")
        return Prompt.of_messages(
            self.query_one("#id", Input).value.strip(),
            messages,
            tuple(name.strip() for name in named if name.strip()),
        )

    def fault(self) -> str:
        """What is wrong with what is written, or nothing."""
        try:
            return super().fault()
        except MessagesError as error:
            return str(error)
