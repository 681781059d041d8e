"""A form for the tags of a run and a note on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label

from pipeline.contract.errors import UsageError
from pipeline.contract.run.remarks import Remarks, checked, split_tags
from tui.readers.clean import clean
from tui.screens.dialogs.form import Form
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar


class RemarksForm(Form[Remarks]):
    """Gives tags and note as they were written, or None where the person changes their mind."""

    LABELS: ClassVar[Mapping[str, str]] = {
        "tags": "tags: words between blanks; the filter finds them by tag:word",
        "note": "note: one line",
    }

    def __init__(self, run: str, remarks: Remarks) -> None:
        super().__init__()
        self._run, self._remarks = run, remarks

    def compose(self) -> ComposeResult:
        """Two lines to write in, and what is wrong with them."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(clean(f"Tags and note of {self._run}"))
            box.border_subtitle = "Tab goes on, Shift+Tab back"
            values = {"tags": " ".join(self._remarks.tags), "note": self._remarks.note}
            for name, label in self.LABELS.items():
                yield Label(label, id=f"label-{name}")
                yield Entry(values[name], id=name)
        yield KeyBar()

    @property
    def written(self) -> Remarks:
        """What the fields say.

        Raises:
            UsageError: it cannot be kept.
        """
        return checked(split_tags(self._value("tags")), self._value("note"))

    def faults(self) -> Mapping[str, str]:
        """What is wrong with what is written, by the fields."""
        parts = {"tags": (split_tags(self._value("tags")), ""), "note": ((), self._value("note"))}
        faults = dict[str, str]()
        for name, (tags, note) in parts.items():
            try:
                checked(tags, note)
            except UsageError as error:
                faults[name] = error.message
        return faults

    def _value(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value
