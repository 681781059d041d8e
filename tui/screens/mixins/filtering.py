"""The `/` filter, for every screen that has a list to look through."""

from __future__ import annotations

from textual import on
from textual.dom import DOMNode
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from tui.widgets.entry import Entry


class Filtering(DOMNode):
    """Keeps the words of `#filter`, which a screen makes by `filter_entry`; `watch_words` is the
    screen's own. A screen names `View` before it: Textual styles by the first base alone."""

    words: reactive[str] = reactive("", init=False, repaint=False)
    """Only what holds all of these words is shown."""

    filter_fault = ""
    """Why the words are no filter: it stays open while they are none."""

    @property
    def filtered(self) -> Widget:
        """The list, which has the focus again when the filter is closed."""
        raise NotImplementedError

    @staticmethod
    def filter_entry(placeholder: str) -> Entry:
        """The line to write the words in; it takes no room before it is opened."""
        entry = Entry(placeholder=placeholder, id="filter")
        entry.display = False
        return entry

    def action_filter(self) -> None:
        """Opens the filter."""
        entry = self.query_one("#filter", Input)
        entry.display = True
        entry.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.words = event.value

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        if not self.filter_fault:
            self.query_one("#filter").display = False
            self.filtered.focus()

    @property
    def is_filtering(self) -> bool:
        """Whether a filter holds, or is being written."""
        return bool(self.words) or self.query_one("#filter").display

    def end_filter(self) -> bool:
        """Shows everything again; False where everything was shown already."""
        if not self.is_filtering:
            return False
        entry = self.query_one("#filter", Input)
        entry.value = self.words = ""
        entry.display = False
        self.filtered.focus()
        return True
