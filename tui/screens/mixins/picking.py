"""Choosing by what examples are ranked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual.dom import DOMNode

from pipeline.contract.results.scores import measures
from pipeline.contract.run.run_dir import RunDir
from tui.readers.method_figures import NOT_MEASURED, method_figures
from tui.screens.dialogs.choice import Choice, ChoiceDialog


class Picking(DOMNode):
    """The list of methods. A screen names `View` before this."""

    _run: RunDir

    async def picked(self, names: Sequence[str], current: str) -> str | None:
        """The method or layer that a person chooses; None where they leave it as it is."""
        figures = await asyncio.to_thread(method_figures, self._run)
        if self.app.screen is not self.screen or not names:
            return None
        choices = [Choice(name, figures.get(name, NOT_MEASURED), measures(name)) for name in names]
        at = names.index(current) if current in names else 0
        chosen = await self.app.push_screen_wait(ChoiceDialog("Rank by", choices, at))
        return None if chosen is None else names[chosen]
