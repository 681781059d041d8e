"""Choosing from a list, as a person does."""

from __future__ import annotations

from textual.pilot import Pilot

from tests.tui.watching import until
from tui.screens.dialogs.choice import ChoiceDialog, Choices


async def pick(pilot: Pilot[None], name: str) -> None:
    """Chooses a method or layer to rank by."""
    await pilot.press("M")
    await choose(pilot, name)


async def choose(pilot: Pilot[None], name: str) -> None:
    """Takes a choice of the list that opens."""

    def offered() -> list[str]:
        dialog = pilot.app.screen
        if not isinstance(dialog, ChoiceDialog) or not dialog.query(Choices):
            return []
        return [choice.name for choice in dialog.query_one(Choices).choices]

    await until(pilot, lambda: name in offered())
    pilot.app.screen.query_one(Choices).cursor = offered().index(name)
    await pilot.press("enter")
