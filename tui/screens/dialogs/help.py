"""All keys, from the one table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from textwrap import wrap
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import KEY, TITLES, Key, Scope, bindings, keys, letter_of
from tui.screens.once import DismissedOnce
from tui.widgets.key_bar import KeyBar
from tui.widgets.scrolling import TextPane

_KEYS_WIDTH, _HELP_WIDTH = 14, 49
"""Cells of the keys, and of what they do: together the box's on 80 columns, beside a scroll bar."""


class Help(ModalScreen[None], DismissedOnce[None]):
    """The keys that work here, and everywhere."""

    CSS_PATH = "../boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("help")

    def __init__(self, scopes: tuple[Scope, ...], keymap: Mapping[str, str], hint: str) -> None:
        """`hint`: what newcomers to the screen are told, or empty; it stands first."""
        super().__init__()
        self._scopes, self._keymap, self._hint = scopes, keymap, hint

    def compose(self) -> ComposeResult:
        """A box with a line for every key."""
        with TextPane(id="help") as box:
            box.border_title = "Keys"
            yield Static(Content("\n\n").join(self._sections()))
        yield KeyBar()

    def on_key(self, event: events.Key) -> None:
        """The keys that open the help and that leave the program close it, too."""
        ways = [KEY[name].letters(self._keymap) for name in ("app.keys", "app.leave")]
        if (letter_of(event.key) or event.key) in set().union(*ways):
            event.stop()
            self.dismiss()

    def action_leave(self) -> None:
        """Back to the screen."""
        self.dismiss()

    def _sections(self) -> list[Content]:
        wanted = keys(*self._scopes, "app")
        groups = groupby(wanted, lambda key: key.scope)
        sections = [self._section(scope, list(group)) for scope, group in groups]
        told = "\n".join(wrap(self._hint.replace("\n", " · "), _KEYS_WIDTH + _HELP_WIDTH))
        return [Content(told), *sections] if told else sections

    def _section(self, scope: Scope, members: list[Key]) -> Content:
        lines = [Content.styled(TITLES[scope], "bold")]
        for key in members:
            shown = (f" {key.display(self._keymap):<{_KEYS_WIDTH}}", "$accent")
            indented = f"\n{' ' * (1 + _KEYS_WIDTH)}".join(wrap(key.help, _HELP_WIDTH))
            lines.append(Content.assemble(shown, indented))
        return Content("\n").join(lines)
