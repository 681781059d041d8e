"""A few lines about trouble: what is wrong, and what to do."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError, MissingResultError
from tui.keys import keymap_of, with_keys
from tui.readers.clean import clean

_LONGEST = 600


class Notice(Static):
    """Takes no room while there is nothing to say."""

    trouble: reactive[str] = reactive("")
    """The first line is what is wrong, the others say what to do."""
    warning: reactive[str] = reactive("")
    """Shown where there is no trouble."""
    missing: reactive[str] = reactive("")
    """What is not there yet and how it comes: nothing is wrong."""
    stage: str = ""
    """The stage that has to be run for it."""

    def watch_trouble(self) -> None:
        """Shows or hides the notice."""
        self._show()

    def watch_warning(self) -> None:
        """Shows or hides the notice."""
        self._show()

    def watch_missing(self) -> None:
        """Shows or hides the notice."""
        self._show()

    def tell(self, error: Exception | None, reading: str = "the results") -> None:
        """What became of reading something: it is there, not there yet, or cannot be read."""
        message = "" if error is None else f"{reading} cannot be read: {error}"
        if isinstance(error, HeadwaterError):
            message = str(error)
        is_missing = isinstance(error, MissingResultError)
        self.stage = error.stage if isinstance(error, MissingResultError) else ""
        if error is not None and self.stage:
            message = f"{error}\n{self._told(self.stage)}"
        self.missing, self.trouble = (message, "") if is_missing else ("", message)

    def coming(self, state: str) -> None:
        """The stage that is missing is at work already, or will be: nobody has to run it."""
        first = self.missing.partition("\n")[0]
        self.missing = f"{first}\n{self.stage} is {state}"

    def _told(self, stage: str) -> str:
        return with_keys(f"{{results.run_missing}} runs {stage} here", keymap_of(self.app))

    def _show(self) -> None:
        message = self.trouble or self.warning or self.missing
        self.display = bool(message)
        mark, colour = ("✗", "$error") if self.trouble else ("!", "$warning")
        if message == self.missing:
            mark, colour = "○", "$foreground"
        message, _, advice = message[:_LONGEST].partition("\n")
        lines = [Content.assemble((f"{mark} ", f"bold {colour}"), (clean(message), colour))]
        lines += [Content("  " + clean(line.strip())) for line in advice.split("\n") if line]
        self.update(Content("\n").join(lines))
