"""A few lines about trouble: what is wrong, and what to do."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tui.readers.clean import clean

_LONGEST = 600


class Notice(Static):
    """Takes no room while there is nothing to say."""

    trouble: reactive[str] = reactive("")
    """The first line is what is wrong, the others say what to do."""
    warning: reactive[str] = reactive("")
    """Shown where there is no trouble."""

    def watch_trouble(self) -> None:
        """Shows or hides the notice."""
        self._show()

    def watch_warning(self) -> None:
        """Shows or hides the notice."""
        self._show()

    def _show(self) -> None:
        self.display = bool(self.trouble or self.warning)
        mark, colour = ("✗", "$error") if self.trouble else ("!", "$warning")
        told, _, advice = (self.trouble or self.warning)[:_LONGEST].partition("\n")
        lines = [Content.assemble((f"{mark} ", f"bold {colour}"), (clean(told), colour))]
        lines += [Content("  " + clean(line.strip())) for line in advice.split("\n") if line]
        self.update(Content("\n").join(lines))
