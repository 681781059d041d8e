"""A form for where sorted data go, and for a run on what stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Label

from pipeline.contract.files import expanded
from tui.export import path_fault
from tui.screens.dialogs.form import Form
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar


@dataclass(frozen=True)
class Places:
    """Where a person wants the data to go."""

    folder: Path
    clone: str
    """Name of the run on what stays; empty: none is made."""


class CurationForm(Form[Places]):
    """Gives what is wanted, or None where the person changes their mind."""

    LABELS: ClassVar[Mapping[str, str]] = {
        "folder": "folder: a new one, for kept.jsonl and dropped.jsonl",
        "clone": "clone: name of a run on what stays; empty = none",
    }

    def __init__(self, folder: str, clone: str, name_fault: Callable[[str], str]) -> None:
        """What is proposed; `name_fault` says what is wrong with a run's name, or nothing."""
        super().__init__()
        self._proposed = {"folder": folder, "clone": clone}
        self._name_fault = name_fault

    def compose(self) -> ComposeResult:
        """Two lines to write in, and what is wrong with them."""
        with Vertical(id="dialog") as box:
            box.border_title = "Write what goes and what stays"
            box.border_subtitle = "Tab goes on, Shift+Tab back"
            for name, label in self.LABELS.items():
                yield Label(label, id=f"label-{name}")
                yield Entry(self._proposed[name], id=name)
        yield KeyBar()

    @property
    def written(self) -> Places:
        """What the fields say."""
        return Places(expanded(self._value("folder")), self._value("clone"))

    def faults(self) -> Mapping[str, str]:
        """What is wrong with what is written, by the fields."""
        faults = dict[str, str]()
        if fault := path_fault(self._value("folder")):
            faults |= {"folder": fault}
        if (clone := self._value("clone")) and (fault := self._name_fault(clone)):
            faults |= {"clone": fault}
        return faults

    def _value(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()
