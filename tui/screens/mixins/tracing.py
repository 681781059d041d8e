"""The copies in an answer that is shown: found by a process, listed on a screen of their own."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.content import Content
from textual.dom import DOMNode
from textual.events import ScreenResume

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.origin import origin_word
from pipeline.contract.results.spans import TextTrace
from pipeline.contract.run.run_dir import RunDir
from tui.content.origin_text import origin_line
from tui.keys import Scope, keymap_of, with_keys
from tui.processes.tracer import known_trace


class Tracing(DOMNode):
    """Nothing waits for the process; without an index nothing is started, and the line says which
    key makes one. A screen names `View` before this, and shows what there is in `show_copies`."""

    SCOPE: ClassVar[Scope]
    _run: RunDir
    copies: TextTrace | None = None
    """What of the answer stands in the training data; None = not known, or not yet."""
    traced: tuple[str, str] | None = None
    """The prompt, and the answer whose copies are looked for."""
    _fault = ""
    _is_looking = False

    def show_copies(self) -> None:
        """Shows the answer again: its copies are known now."""
        raise NotImplementedError

    def look_for_copies(self, prompt: str, answer: str) -> None:
        """Another answer, or the same one again."""
        if self.traced != (prompt, answer):
            self.traced, self.copies, self._is_looking = (prompt, answer), None, False
        if self.copies is None and not self._is_looking:
            self._fault, self._is_looking = "", True
            self._look(prompt, answer)

    @work(exclusive=True, group="copies")
    async def _look(self, prompt: str, answer: str) -> None:
        found, fault = None, ""
        try:
            found = await asyncio.to_thread(known_trace, self._run, prompt, answer)
        except HeadwaterError as error:
            fault = str(error)
        if self.traced == (prompt, answer):
            self.copies, self._fault, self._is_looking = found, fault, False
            self.show_copies()

    def origin(self, taught: bool | None) -> Content:
        """The word for where the answer comes from, and why."""
        found = self.copies
        word = origin_word(found.is_copied if found else None, taught)
        if self._is_looking:
            return Content.styled("looking for copies …", "$secondary")
        key = with_keys(f"{{{self.SCOPE}.trace}}", keymap_of(self.app))
        told = self._fault or f"{key} indexes the training data"
        if found is not None:
            told = f"{key} lists them" if found.copies else ""
        return origin_line(word, found, told)

    def on_screen_resume(self, _event: ScreenResume) -> None:
        """There may be an index now; Textual calls this beside the screen's own."""
        if self.traced:
            self.look_for_copies(*self.traced)
