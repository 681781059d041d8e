"""Screens with a table of results, and below it what the row under the cursor says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.content.rows import Row
from tui.readers.clean import clean
from tui.screens.mixins.filtering import Filtering
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.scrolling import TextPane
from tui.widgets.table import Table


@dataclass(frozen=True)
class Pane:
    """A text with its title."""

    title: str
    text: Content


class Tabled(View[None], Filtering, Renewing):
    """The table, a heading of the row and one or two texts about it."""

    CSS_PATH: ClassVar[CSSPathType | None] = "tables.tcss"
    LOOKED_THROUGH: ClassVar[str]
    """What the words of a filter are words of."""

    def compose(self) -> ComposeResult:
        """The table, and below it the heading and the texts."""
        yield Banner()
        yield from self.pages()
        yield Notice(id="notice")
        yield Table(id="table")
        yield self.filter_entry(f"words of {self.LOOKED_THROUGH}")
        yield Static(id="heading")
        with Horizontal(id="texts"):
            for name in ("first", "second"):
                with TextPane(id=name, classes="panel"):
                    yield Static(id=f"{name}-text")
        yield KeyBar()

    def pages(self) -> Iterable[Widget]:
        """What stands above the table, where it has several pages."""
        return ()

    def on_mount(self) -> None:
        """Nothing is known yet."""
        self.filtered.empty = "reading…"
        self.filtered.focus()

    @property
    def filtered(self) -> Table:
        """The table."""
        return self.query_one(Table)

    def heading(self, row: Row) -> Content:
        """A few lines above the texts."""
        return Content()

    def panes(self, row: Row) -> Sequence[Pane]:
        """One text about a row, or two side by side."""
        raise NotImplementedError

    @on(Lines.Moved, "#table")
    def explain(self) -> None:
        """Tells of the row under the cursor."""
        row = self.filtered.selected
        content = self.heading(row) if row else Content()
        heading = self.query_one("#heading", Static)
        heading.display = bool(content.plain)
        heading.update(content)
        panes = dict(zip(("first", "second"), self.panes(row) if row else (), strict=False))
        for name in ("first", "second"):
            box, pane = self.query_one(f"#{name}", TextPane), panes.get(name)
            box.display = pane is not None
            if pane:
                box.border_title = Content(clean(pane.title))
                box.scroll_home(animate=False)
                self.query_one(f"#{name}-text", Static).update(pane.text)

    def action_leave(self) -> None:
        """Back to the table, to all rows, to the screen before."""
        if any(pane.has_focus for pane in self.query(TextPane)):
            self.filtered.focus()
        elif not self.end_filter():
            self.app.pop_screen()
