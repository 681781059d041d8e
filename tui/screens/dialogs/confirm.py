"""A question with two answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, Static

from tui.keys import KEY, bindings, keymap_of
from tui.readers.clean import clean, clean_lines
from tui.screens.breakpoints import HEIGHTS
from tui.screens.once import DismissedOnce
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar
from tui.widgets.scrolling import TextPane


class ConfirmDialog(ModalScreen[bool], DismissedOnce[bool]):
    """Asks before something that cannot be taken back; gives True for yes."""

    CSS_PATH = "../boxes.tcss"
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")

    def __init__(self, title: str, text: str | Content, yes: str, no: str) -> None:
        super().__init__()
        self._title, self._text, self._answers = title, text, (yes, no)

    def compose(self) -> ComposeResult:
        """A box with the question and the keys that answer it."""
        yes, no = self._answers
        with Vertical(id="dialog") as box:
            box.border_title = Content(clean(self._title))
            with TextPane(id="question"):
                text = self._text
                yield Static(Content(clean_lines(text)) if isinstance(text, str) else text)
            answers = (_choice(self.app, "dialog.answer.true", yes), " " * 6)
            yield Static(
                Content.assemble(*answers, _choice(self.app, "dialog.answer.false", no)),
                id="answers",
            )
        yield KeyBar()

    def action_answer(self, answer: bool) -> None:
        """Ends the question."""
        self.dismiss(answer)


class TextDialog(ModalScreen[str | None], DismissedOnce[str | None]):
    """Asks for a line of text; gives None where the person changes their mind."""

    CSS_PATH = "../boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")

    def __init__(self, title: str, value: str, fault: Callable[[str], str], hint: str = "") -> None:
        """`fault` says what is wrong with a text, or nothing."""
        super().__init__()
        self._title, self._value, self._fault, self._hint = title, value, fault, hint

    def compose(self) -> ComposeResult:
        """A box with a line to write in, and what is wrong with it."""
        with Vertical(id="dialog") as box:
            box.border_title = Content(clean(self._title))
            if self._hint:
                yield Static(Content(clean_lines(self._hint)))
            yield Entry(self._value, id="entry")
            yield Static(id="fault")
        yield KeyBar()

    @on(Input.Changed)
    def _check(self) -> bool:
        fault = self._fault(self.query_one(Input).value)
        self.query_one("#fault", Static).update(Content.styled(clean(fault), "$error"))
        return not fault

    @on(Input.Submitted)
    def action_accept(self) -> None:
        """Ends with what is written, if nothing is wrong with it; else says what is."""
        if self._check():
            self.dismiss(self.query_one(Input).value)

    def action_leave(self) -> None:
        """Ends without an answer."""
        self.dismiss(None)


def _choice(app: object, key: str, text: str) -> Content:
    """`y  delete it`: its key, and what it does when it is clicked."""
    action = Style.from_meta({"@click": f"screen.{KEY[key].action}"})
    shown = (KEY[key].first(keymap_of(app)), "bold $accent")
    return Content.assemble(shown, f"  {text}").stylize(action)


def changes(diff: list[str], stale: tuple[str, ...]) -> Content:
    """What saving would change, and which stages it would make stale."""
    inks = {"-": "$error", "+": "$success"}
    lines = [Content.styled(clean(line), inks.get(line[:1], "$secondary")) for line in diff]
    note = f"becomes stale: {', '.join(stale)}" if stale else "no finished stage becomes stale"
    return Content("\n").join([*lines, Content(""), Content.styled(note, "$warning")])
