"""The end of a stage's log, following what is added, with a search."""

from __future__ import annotations

from typing import ClassVar

from rich.highlighter import Highlighter, NullHighlighter
from rich.text import Text
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Log

from tui.keys import keymap_of, with_keys
from tui.readers.clean import clean
from tui.widgets.scrolling import Scrolling

_MAX_LINES = 2000


class LogPanel(Log, Scrolling):
    """Follows while its end is in view; scrolled up it stays where it is."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    words: reactive[str] = reactive("")
    """What is searched for; the case of letters does not count."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, max_lines=_MAX_LINES, highlight=True)
        self.highlighter = NullHighlighter()
        self._match: int | None = None
        self._told = self._empty = ""
        self._follows = True
        self.show("")

    def show(self, stage: str) -> None:
        """Starts over with the log of a stage."""
        self.clear()
        self._match = None
        self.border_title = f"Log · {stage}" if stage else "Log"

    def add(self, lines: list[str], empty: str = "") -> None:
        """Adds lines that `clean` has been over; `empty` is said where there are none at all."""
        self._empty = empty
        if lines:
            before = self.line_count + sum(len(line.splitlines()) for line in lines)
            self.write_lines(lines)
            self._let_go(before - self.line_count)
        self._tell()

    def _let_go(self, count: int) -> None:
        """The oldest lines went to keep the log small: Textual paints nothing anew then, and a
        person who reads further up would see the text move."""
        if count <= 0:
            return
        if self._match is not None:
            self._match = self._match - count if self._match >= count else None
        if not self._follows:
            self.scroll_to(y=max(0, self.scroll_y - count), animate=False, immediate=True)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Notes whether a person has left the end."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = self.is_vertical_scroll_end

    def on_resize(self) -> None:
        """A panel that shrinks would lose its end, and with it the lines that are added."""
        if self._follows:
            self.scroll_end(animate=False, immediate=True, x_axis=False)

    def watch_words(self, words: str) -> None:
        """Marks the words, and goes to the last line that holds them."""
        self.highlighter = _Words(words) if words else NullHighlighter()
        self._match = None
        if words:
            self.step(-1)
        self.refresh()
        self._tell()

    def step(self, direction: int) -> None:
        """Goes to the next line that holds the words, or to the one before; round at the ends."""
        matches = self._matches()
        if not matches:
            return
        line = self.line_count if self._match is None else self._match
        if direction > 0:
            self._match = next((n for n in matches if n > line), matches[0])
        else:
            self._match = next((n for n in reversed(matches) if n < line), matches[-1])
        middle = self._match - self.size.height // 2
        self.scroll_to(y=max(0, middle), animate=False, immediate=True)
        self._tell()

    def _matches(self) -> list[int]:
        wanted = self.words.casefold()
        return [n for n, line in enumerate(self.lines) if wanted in line.casefold()]

    def _tell(self) -> None:
        subtitle = self._keys("{run.page.0} its stage")
        if not self.is_vertical_scroll_end:
            subtitle = self._keys("{scroll.jump.-1} follows")
        if not self.line_count:
            subtitle = self._empty
        if self.words:
            matches = self._matches()
            position = f"{matches.index(self._match) + 1} of " if self._match in matches else ""
            subtitle = f"“{clean(self.words, 30)}” in {position}{len(matches):,} lines"
            subtitle += self._keys(
                " · {run.next_match} {run.next_match.-1} step · {run.leave} ends"
            )
        if subtitle != self._told:
            self._told, self.border_subtitle = subtitle, Content(subtitle)

    def _keys(self, text: str) -> str:
        return with_keys(text, keymap_of(self.app))


class _Words(Highlighter):
    """Marks some words wherever they stand."""

    def __init__(self, words: str) -> None:
        self._words = words

    def highlight(self, text: Text) -> None:
        """Marks them in one line."""
        text.highlight_words([self._words], "bold reverse", case_sensitive=False)
