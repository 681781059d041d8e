"""A form for a new run on a person's own text."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import DescendantBlur
from textual.widgets import Input, Label, RadioButton, RadioSet, Static

from pipeline.contract.files import expanded, is_there
from pipeline.contract.units import size
from tui.screens.dialogs.form import Form
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar

PLANS = {
    "own-text": "fine-tune a model on the text",
    "lora": "train an adapter (LoRA) on a model",
    "from-scratch": "train a small new model: no hub, and minutes",
    "chat": "fine-tune a chat model on conversations",
    "trained-elsewhere": "trace a model that was trained elsewhere",
}
"""Profile → what it does."""
_A_MODEL = "model: a folder or a hub name"
MODELS = {
    "own-text": f"{_A_MODEL}; empty = TinyLlama_v1.1",
    "lora": f"{_A_MODEL}; empty = TinyLlama_v1.1",
    "from-scratch": "model: leave it empty, a small new one is made",
    "chat": f"{_A_MODEL}; empty = TinyLlama-1.1B-Chat-v1.0",
}
"""Profile → what stands above its model."""
_LETTERS_A_TOKEN = 4
_MOST_FILES = 10_000
_STILL_S = 0.3
_PLAIN = "a .txt file is one document; for many short texts use a .jsonl"


@dataclass(frozen=True)
class NewRun:
    """What a person wants to be made."""

    name: str
    text: Path
    model: str
    profile: str


class NewRunForm(Form[NewRun]):
    """Gives what is wanted, or None where the person changes their mind."""

    LABELS: ClassVar[Mapping[str, str]] = {
        "text": "your text: a file or a folder",
        "model": _A_MODEL,
        "name": "name of the run",
    }

    def __init__(self, name_fault: Callable[[str], str]) -> None:
        """`name_fault` says what is wrong with a run's name, or nothing."""
        super().__init__()
        self._name_fault = name_fault
        self._left = set[str]()
        """Fields that were looked at: not before is anything wrong with them."""

    def compose(self) -> ComposeResult:
        """The fields, and what is wrong with them."""
        with Vertical(id="dialog") as box:
            box.border_title = "New run"
            box.border_subtitle = "Tab goes on, Shift+Tab back"
            with RadioSet(id="plan"):
                for number, (name, told) in enumerate(PLANS.items()):
                    yield Plan(told, value=number == 0, name=name)
            for name, label in self.LABELS.items():
                yield Label(label, id=f"label-{name}")
                yield Entry("", id=name)
            yield Static(id="estimate")
        yield KeyBar()

    def on_mount(self) -> None:
        """Begins with the text."""
        self.query_one("#text").focus()

    @property
    def written(self) -> NewRun:
        """What the fields say."""
        pressed = self.query_one(RadioSet).pressed_button
        return NewRun(
            name=self.query_one("#name", Input).value.strip(),
            text=expanded(self.query_one("#text", Input).value.strip()),
            model=self.query_one("#model", Input).value.strip(),
            profile=(pressed.name if pressed else None) or next(iter(PLANS)),
        )

    def faults(self) -> dict[str, str]:
        """What is wrong with what is written, by the fields."""
        wanted = self.written
        faults = dict[str, str]()
        if not self.query_one("#text", Input).value.strip() or not is_there(wanted.text):
            faults |= {"text": "there is no such file or folder"}
        if wanted.profile == "trained-elsewhere" and not wanted.model:
            faults |= {"model": "name the model that was trained on the text"}
        if fault := self._name_fault(wanted.name) if wanted.name else "the run needs a name":
            faults |= {"name": fault}
        return faults

    def labels(self) -> Mapping[str, str]:
        """A new model is made and not taken."""
        model = MODELS.get(self.written.profile, _A_MODEL)
        return {**self.LABELS, "model": model}

    def is_told(self, name: str) -> bool:
        """Once the field was left, or the whole was to be taken."""
        return name in self._left

    @on(DescendantBlur)
    def _field_left(self, event: DescendantBlur) -> None:
        self._left.add(event.widget.id or "")
        self.check()

    def action_accept(self) -> None:
        """Takes what is written, or says all that is wrong with it."""
        self._left.update(self.LABELS)
        super().action_accept()

    @on(Input.Changed, "#text")
    def _look_at_text(self) -> None:
        text = self.written.text
        named = text != Path() and is_there(text)
        self._measure(text if named else None)

    @work(exclusive=True)
    async def _measure(self, text: Path | None) -> None:
        """Says how much text there is, once the person has stopped writing its name."""
        estimate = self.query_one("#estimate", Static)
        estimate.update("")
        await asyncio.sleep(_STILL_S)
        if text is not None:
            estimate.update(Content(await asyncio.to_thread(_estimate, text)))


class Plan(RadioButton):
    """Shows whether it is chosen by more than its colour."""

    @property
    def _button(self) -> Content:
        self.BUTTON_INNER = "●" if self.value else " "
        return super()._button


def _estimate(path: Path) -> str:
    """How much text there is, by the bytes of its files: packed files hold more."""
    found = list(islice(_sizes(path), _MOST_FILES + 1))
    if len(found) > _MOST_FILES:
        return f"more than {_MOST_FILES:,} files"
    count = "1 file" if len(found) == 1 else f"{len(found):,} files"
    total = sum(bytes_ for _, bytes_ in found)
    tokens = total // _LETTERS_A_TOKEN
    told = f"{count}, {size(total)}: about {tokens:,} tokens, if all of it is text"
    return f"{told}\n{_PLAIN}" if any(".txt" in Path(name).suffixes for name, _ in found) else told


def _sizes(path: Path) -> Iterator[tuple[str, int]]:
    """Name and bytes of a file, or of every file of a folder that can be looked at."""
    if path.is_file():
        yield path.name, path.lstat().st_size
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):  # gone, or not ours to see
                yield name, os.lstat(os.path.join(folder, name)).st_size
