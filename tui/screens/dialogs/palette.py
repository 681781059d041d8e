"""Commands by name."""

from __future__ import annotations

from textual.command import CommandPalette

from tui.screens.once import DismissedOnce


class Palette(CommandPalette, DismissedOnce[None]):
    """Textual's, ended once."""
