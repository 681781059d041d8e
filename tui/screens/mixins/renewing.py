"""Screens of results that stay open while stages run: they say when there are newer ones."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.dom import DOMNode
from textual.screen import Screen

from pipeline.contract.run.run_dir import RunDir
from tui.keys import keymap_of, with_keys
from tui.widgets.banner import Banner

_INTERVAL_S = 2.0
_NEWER = "newer results: {results.renew} shows them"


class Renewing(DOMNode):
    """Nothing changes under a person's hands: the first line tells, a key shows what is newer. A
    screen names `View` before it: Textual styles by the first base alone."""

    STAGES: ClassVar[tuple[str, ...]]
    """Whose results are shown."""
    _run: RunDir

    _seen: dict[str, int]

    def on_mount(self) -> None:
        """Starts to look; Textual calls this beside the screen's own."""
        self.see()  # before anything is read
        self._look_for_newer()

    def see(self) -> None:
        """What is shown from now on is of the results that are there now."""
        self._seen = self._finishes()
        self.query_one(Banner).news = ""

    @property
    def shows_results(self) -> bool:
        """Whether anything is shown that could be out of date."""
        return True

    @work(group="newer results")  # an exclusive worker of the screen ends those of its own group
    async def _look_for_newer(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            finishes = await asyncio.to_thread(self._finishes)
            if not self.shows_results:
                continue
            if any(self._seen.get(stage) != finish for stage, finish in finishes.items()):
                self.query_one(Banner).news = with_keys(_NEWER, keymap_of(self.app))

    def _finishes(self) -> dict[str, int]:
        """When each finished stage did, in nanoseconds of its file."""
        files = {stage: self._run.done(stage) for stage in self.STAGES}
        return {stage: file.stat().st_mtime_ns for stage, file in files.items() if file.exists()}

    def renewed(self) -> Screen[None]:
        """The screen that takes this one's place."""
        raise NotImplementedError

    def action_renew(self) -> None:
        """Reads everything again."""
        self.app.switch_screen(self.renewed())
