"""What every screen that gives a result has."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import Screen

_Result = TypeVar("_Result")


class DismissedOnce(Screen[_Result]):
    """Ends once: Enter that comes twice would end the screen behind it too."""

    def dismiss(self, result: _Result | None = None) -> AwaitComplete:
        """Textual's, while the screen is the one in use; else nothing."""
        if self.app.screen is not self:
            return AwaitComplete()
        return super().dismiss(result)
