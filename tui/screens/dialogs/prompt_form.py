"""A form for one prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Label, TextArea

from pipeline.contract.settings.prompts import Prompt
from tui.readers.clean import visible_letters
from tui.screens.dialogs.form import Form
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar

ID_LABEL = "id; left empty, it is made of the first words"
NO_SPACE = "no space between its first word and the prompt's last one"


class PromptForm(Form[Prompt]):
    """Gives the prompt as it was written, or None where the person changes their mind."""

    SAID: ClassVar[str] = "prompt"
    """The field of its words."""
    LABELS: ClassVar[Mapping[str, str]] = {
        "id": ID_LABEL,
        "prompt": "prompt",
        "completion": "completion: only its tokens are traced; begin it with a space",
        "instead": "rather than this other completion, if any",
        "set": "set that it belongs to, if any",
    }

    def __init__(self, prompt: Prompt, faults: Callable[[Prompt], Mapping[str, str]]) -> None:
        """`faults` says what is wrong with a prompt, by its fields."""
        super().__init__()
        self._prompt, self._faults = prompt, faults

    def compose(self) -> ComposeResult:
        """The fields, and what is wrong with them."""
        with Vertical(id="dialog") as box:
            box.border_title = "Prompt"
            box.border_subtitle = "Tab goes on, Shift+Tab back"
            for name, label in self.LABELS.items():
                yield Label(label, id=f"label-{name}")
                yield self.field(name)
            yield Label("documents known to state it, if any, by their ids")
            yield Entry(", ".join(self._prompt.relevant), id="relevant")
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins a new prompt with its words: an id is made of them."""
        if not self._prompt.id:
            self.query_one(f"#{self.SAID}").focus()

    def field(self, name: str) -> Entry | Words:
        """The field of a name, filled in."""
        text = getattr(self._prompt, name) or ""
        return Words(text, id=name) if name in ("prompt", "completion") else Entry(text, id=name)

    @property
    def id_written(self) -> str:
        """The id as its field says."""
        return self.query_one("#id", Input).value.strip()

    @property
    def optional_written(self) -> dict[str, str | None]:
        """What may be left out, as its fields say; an empty field leaves it out."""
        texts = {name: self.query_one(f"#{name}", Input).value for name in ("instead", "set")}
        return {"instead": texts["instead"] or None, "set": texts["set"].strip() or None}

    @property
    def relevant_written(self) -> tuple[str, ...]:
        """The documents known to state it, as their field says."""
        named = self.query_one("#relevant", Input).value.split(",")
        return tuple(name.strip() for name in named if name.strip())

    @property
    def written(self) -> Prompt:
        """The prompt as the fields say."""
        return Prompt(
            id=self.id_written,
            prompt=self.query_one("#prompt", TextArea).text,
            completion=self.query_one("#completion", TextArea).text,
            relevant=self.relevant_written,
        ).model_copy(update=self.optional_written)

    def faults(self) -> Mapping[str, str]:
        """What is wrong with what is written, by the fields."""
        return self._faults(self.written)

    def warnings(self) -> Mapping[str, str]:
        """Completions whose first word joins the prompt's last one."""
        written = self.written
        sides = {"completion": written, "instead": written.other}
        return {name: NO_SPACE for name, one in sides.items() if one and one.runs_together}


class Words(TextArea):
    """Some lines; letters that a terminal would obey are drawn as symbols."""

    def __init__(self, text: str, id: str) -> None:
        super().__init__(text, id=id, tab_behavior="focus", soft_wrap=True)
        self.cursor_blink = False

    def on_mount(self) -> None:
        """What is there is gone on with."""
        self.move_cursor(self.document.end)

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn: as many letters as it has."""
        return Text(visible_letters(self.document.get_line(line_index)), end="", no_wrap=True)
