"""Saving and leaving, for every screen that edits a draft."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Generic, Protocol, TypeVar

from textual import work

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir
from tui.screens.dialogs.confirm import ConfirmDialog, changes
from tui.screens.mixins.view import View


class Draft(Protocol):
    """What has been changed and not been saved yet."""

    @property
    def is_changed(self) -> bool:
        """Whether saving would write anything."""

    def diff(self) -> list[str]:
        """Lines that go (-) and come (+)."""

    def made_stale(self) -> tuple[str, ...]:
        """Stages whose results saving would make stale."""

    def save(self) -> None:
        """Writes it."""


_Draft = TypeVar("_Draft", bound=Draft)


class Drafting(View[None], Generic[_Draft]):
    """Nothing is written before `w` and a look at what changes."""

    CONTENT: ClassVar[str]
    """What is edited: "settings", "prompts"."""

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self._run = run
        self._draft: _Draft | None = None

    def _show(self) -> None:
        """Hands the draft to the widgets."""
        raise NotImplementedError

    @property
    def may_close(self) -> bool:
        """Whether everything is saved."""
        return self._draft is None or not self._draft.is_changed

    def can_save(self) -> bool:
        """Whether the draft may be written; a screen that says no says why."""
        return True

    @work
    async def action_save(self) -> None:
        """Shows what changes, then writes it."""
        draft = self._draft
        if draft is None or not draft.is_changed:
            self.notify("nothing has changed", markup=False)
            return
        if not self.can_save():
            return
        text = changes(draft.diff(), await asyncio.to_thread(draft.made_stale))
        asked = ConfirmDialog(
            f"Save the {self.CONTENT} of {self._run.name}?", text, "save", "not yet"
        )
        if not await self.app.push_screen_wait(asked):
            return
        try:
            draft.save()
        except HeadwaterError as error:
            self.complain(error)
        else:
            self.notify("saved", markup=False)
        self._show()

    async def may_go(self) -> bool:
        """Asks where leaving would lose something."""
        draft = self._draft
        if draft is None or self.may_close:
            return True
        text = changes(draft.diff(), ())
        question = ConfirmDialog("Leave without saving?", text, "forget these", "stay")
        answer: bool = await self.app.push_screen_wait(question)
        return answer

    @work
    async def action_leave(self) -> None:
        """Leaves."""
        if await self.may_go():
            self.dismiss()
