"""All keys, from the one table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import TITLES, Key, Scope, keys
from tui.widgets.scrolling import TextPane

_KEYS_WIDTH = 13


class Help(ModalScreen[None]):
    """The keys that work here, and everywhere. Any key of leaving closes it."""

    def __init__(self, scopes: tuple[Scope, ...], keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._scopes, self._keymap = scopes, keymap

    def compose(self) -> ComposeResult:
        """A box with a line for every key."""
        with TextPane(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            yield Static(Content("\n\n").join(self._sections()))

    def on_key(self, event: object) -> None:
        """Esc, q and ? close the help."""
        if getattr(event, "key", "") in ("escape", "q", "question_mark"):
            event.stop()  # type: ignore[attr-defined]
            self.dismiss()

    def _sections(self) -> list[Content]:
        wanted = keys(*self._scopes, "list", "scroll", "text", "app")
        groups = groupby(wanted, lambda key: key.scope)
        return [self._section(scope, list(found)) for scope, found in groups]

    def _section(self, scope: Scope, found: list[Key]) -> Content:
        lines = [Content.styled(TITLES[scope], "bold")]
        for key in found:
            shown = (f"  {key.display(self._keymap):<{_KEYS_WIDTH}}", "$accent")
            lines.append(Content.assemble(shown, key.help))
        return Content("\n").join(lines)
