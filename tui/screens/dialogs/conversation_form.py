"""A form for one prompt that is a conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from textual.widgets import TextArea

from pipeline.contract.settings.messages import MessagesError, is_answer, read_messages
from pipeline.contract.settings.prompts import Prompt
from tui.screens.dialogs.prompt_form import ID_LABEL, PromptForm, Words
from tui.widgets.entry import Entry


class ConversationForm(PromptForm):
    """As `PromptForm`, with the messages as they stand in a file of prompts."""

    DEFAULT_CSS = """
    ConversationForm #messages { height: 8; }
    ConversationForm.-tall #messages { height: 18; }
    """
    SAID = "messages"
    LABELS: ClassVar[Mapping[str, str]] = {
        "id": ID_LABEL,
        "messages": "messages, as JSON; the assistant's last one is what is traced",
        "instead": "rather than this other answer, if any",
        "set": "set that it belongs to, if any",
    }

    def field(self, name: str) -> Entry | Words:
        """The field of a name, filled in."""
        if name != "messages":
            return super().field(name)
        messages = self._prompt.as_written()["messages"]
        return Words(json.dumps(messages, indent=1, ensure_ascii=False), id=name)

    @property
    def written(self) -> Prompt:
        """The prompt as the fields say.

        Raises:
            MessagesError: the messages are none.
        """
        messages = read_messages(self.query_one("#messages", TextArea).text)
        if is_answer(messages[0]):
            raise MessagesError("begins with the answer")
        said = Prompt.of_messages(self.id_written, messages, self.relevant_written)
        return said.model_copy(update=self.optional_written)

    def faults(self) -> Mapping[str, str]:
        """What is wrong with what is written, by the fields."""
        try:
            found = super().faults()
        except MessagesError as error:
            return {"messages": str(error)}
        return {name if name in self.LABELS else "messages": fault for name, fault in found.items()}

    def warnings(self) -> Mapping[str, str]:
        """None: a chat template stands between prompt and answer."""
        return {}
