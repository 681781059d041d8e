"""The end of a stage's log, following what is added."""

from __future__ import annotations

from textual.widgets import Log

from tui.widgets.scrolling import Scrolling

_MAX_LINES = 2000


class LogPanel(Log, Scrolling):
    """Follows while its end is in view; scrolled up it stays where it is."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, max_lines=_MAX_LINES)
        self.show("")

    def show(self, stage: str) -> None:
        """Starts over with the log of a stage."""
        self.clear()
        self.border_title = f"Log · {stage}" if stage else "Log"

    def add(self, lines: list[str]) -> None:
        """Adds lines that `clean` has been over."""
        if lines:
            self.write_lines(lines)
        told = "nothing written yet" if not self.line_count else ""
        self.border_subtitle = told if self.is_vertical_scroll_end else "G follows"
