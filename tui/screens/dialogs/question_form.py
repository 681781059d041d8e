"""A form for a question to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Label, TextArea

from pipeline.contract.errors import UsageError
from pipeline.contract.run.replies import Query
from tui.keys import keymap_of, with_keys
from tui.screens.dialogs.form import Form
from tui.screens.dialogs.prompt_form import Words
from tui.widgets.key_bar import KeyBar


class QuestionForm(Form[Query]):
    """Gives the question as it was written, or None where the person changes their mind."""

    LABELS: ClassVar[Mapping[str, str]] = {
        "prompt": "prompt: what the model is to go on from",
        "completion": "completion to trace; left empty, the model's own answer",
        "instead": "rather than this other completion; left empty, the first alone",
    }

    def __init__(self, question: Query) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The texts, and what is wrong with them."""
        asked = self._question
        given = (asked.prompt, asked.completion or "", asked.instead or "")
        with Vertical(id="dialog") as box:
            box.border_title = "Ask"
            box.border_subtitle = with_keys("{form.accept} asks, Tab goes on", keymap_of(self.app))
            for (name, label), text in zip(self.LABELS.items(), given, strict=True):
                yield Label(label, id=f"label-{name}")
                yield Words(text, id=name)
        yield KeyBar()

    @property
    def written(self) -> Query:
        """The question as the fields say."""
        prompt, completion, instead = (
            self.query_one(f"#{name}", TextArea).text for name in self.LABELS
        )
        return replace(
            self._question, prompt=prompt, completion=completion or None, instead=instead or None
        )

    def faults(self) -> Mapping[str, str]:
        """What is wrong with what is written, by the fields."""
        try:
            self.written.validated()
        except UsageError as error:
            asked = self.written
            lacks = asked.completion is not None and not asked.completion.strip()
            name = "completion" if lacks else "instead"
            return {name if asked.prompt.strip() else "prompt": error.message}
        return {}
