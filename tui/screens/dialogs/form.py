"""The base of the forms: fields, each with what is wrong with it above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, RadioSet, TextArea

from tui.keys import bindings
from tui.readers.clean import clean
from tui.screens.breakpoints import HEIGHTS
from tui.screens.once import DismissedOnce

_Written = TypeVar("_Written")


class Form(ModalScreen[_Written | None], DismissedOnce[_Written | None]):
    """Gives what was written, or None where the person changes their mind. A form has a `Label`
    `#label-NAME` above each of its fields `#NAME`."""

    CSS_PATH = ["../boxes.tcss", "../editors.tcss"]  # noqa: RUF012 (Textual's own way to name two)
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")
    LABELS: ClassVar[Mapping[str, str]]
    """Fields that may be wrong, and what stands above them while they are not."""

    @property
    def written(self) -> _Written:
        """What the fields say."""
        raise NotImplementedError

    def faults(self) -> Mapping[str, str]:
        """What is wrong with what is written, by the fields."""
        raise NotImplementedError

    def warnings(self) -> Mapping[str, str]:
        """What may be meant otherwise, by the fields."""
        return {}

    def labels(self) -> Mapping[str, str]:
        """The fields, and what stands above them now."""
        return self.LABELS

    def is_told(self, name: str) -> bool:
        """Whether what is wrong with a field is said yet."""
        return True

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(RadioSet.Changed)
    def check(self) -> str:
        """Says above each field what is wrong with it; gives the first such field, or nothing."""
        faults = self.faults()
        warnings = {} if faults else self.warnings()
        for name, label in self.labels().items():
            told: tuple[str, str] = (label, "")
            if name in faults and self.is_told(name):
                told = (f"{name} ✗ {clean(faults[name])}", "$error")
            elif name in warnings:
                told = (f"{name} · {warnings[name]}", "$warning")
            self.query_one(f"#label-{name}", Label).update(Content.styled(*told))
        return next(iter(faults), "")

    @on(Input.Submitted)
    def action_accept(self) -> None:
        """Takes what is written, if nothing is wrong with it; else goes to what is."""
        if wrong := self.check():
            self.query_one(f"#{wrong}").focus()
        else:
            self.dismiss(self.written)

    def action_leave(self) -> None:
        """Ends without an answer."""
        self.dismiss(None)
