"""What every full screen has."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual.css.query import NoMatches
from textual.events import ScreenResume
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.worker import Worker, WorkType

from pipeline.contract.errors import HeadwaterError
from tui.keys import PARTS, Scope, keymap_of, with_keys
from tui.readers.clean import clean_lines
from tui.screens.breakpoints import HEIGHTS, WIDTHS, size_classes
from tui.screens.once import DismissedOnce

FIRST_LOOK_S = 0.05
"""When a screen reads for the first time: its frame is on the terminal by then. Sooner, the
reading would keep the thread that writes to the terminal waiting."""

READING = "reading"
"""The group of a screen's worker that keys have to wait for: it reads what they are meant for."""

_Result = TypeVar("_Result")
_Done = TypeVar("_Done")


class View(DismissedOnce[_Result]):
    """A screen with keys of its own."""

    SCOPE: ClassVar[Scope]

    @dataclass
    class Shown(Message):
        """A screen is in view."""

        scope: Scope

    class Ready(Message):
        """A screen has read what keys are meant for."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual's, which paints the whole screen again for it; widgets show their focus
    themselves."""
    _is_styled = False
    is_reading = False
    """Whether keys have to wait for what is being read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # as Textual will do once it is shown, but then it styles every widget again
        with suppress(RuntimeError):  # made where no app is at work
            self.add_class(*size_classes(*self.app.size))

    def on_screen_resume(self, event: ScreenResume) -> None:
        """The screen is in view, for the first time or again."""
        if not self._is_styled:
            event.refresh_styles = False  # every widget was styled as it was mounted
        self._is_styled = True
        self.call_later(self._leave_what_is_hidden)
        self.greet()

    def greet(self) -> None:
        """Lets a newcomer know what the screen is good for, once that holds."""
        if self.has_hint:
            self.post_message(self.Shown(self.SCOPE))

    def _leave_what_is_hidden(self) -> None:
        """Textual gives the focus to the first widget, even where that is not displayed."""
        if self.focused is not None and self.focused not in self.focus_chain:
            self.set_focus(None)

    def _screen_resized(self, size: Size) -> None:
        """Lays out anew, unless that has been done: Textual tells of the first size twice."""
        if size != self.outer_size:
            super()._screen_resized(size)

    @property
    def has_hint(self) -> bool:
        """Whether what newcomers are told about the screen holds now."""
        return True

    def told(self, text: str) -> str:
        """A text that names actions, as in "{runs.shelf} shows it", with the keys as they are."""
        return with_keys(text, keymap_of(self.app))

    @property
    def may_close(self) -> bool:
        """Whether nothing would be lost."""
        return True

    @property
    def is_watched(self) -> bool:
        """Whether a person sees it, if only below a question; `is_current` of Textual also counts
        a screen that lies hidden below another."""
        stack = self.app.screen_stack
        above = stack[stack.index(self) + 1 :] if self in stack else [self]
        return all(isinstance(screen, ModalScreen) for screen in above)

    def run_worker(
        self,
        work: WorkType[_Done],
        name: str | None = "",
        group: str = "default",
        *arguments: Any,
        **named: Any,
    ) -> Worker[_Done]:
        """Textual's, for coroutines: one that fails while the screen is being closed ends in
        silence. A closing screen loses its widgets before its workers are cancelled, and what a
        worker awaited may come in between."""
        if group == READING:
            self.is_reading = True
            work = partial(self._read_first, work)
        work = partial(self._while_open, work)
        return super().run_worker(work, name, group, *arguments, **named)

    async def _read_first(self, work: Any) -> Any:
        try:
            return await work()
        finally:
            self.end_reading()

    async def _while_open(self, work: Any) -> Any:
        try:
            return await (work() if callable(work) else work)
        except NoMatches:
            if self.is_attached and self.display:  # Textual hides what it is about to remove
                raise
            return None

    def holds(self, action: str | None) -> bool:
        """Whether a key that does something has to wait for what is being read; None: one that is
        written down. What works on every screen does not: it is not meant for this one."""
        return self.is_reading and not (action and action.startswith("app."))

    def end_reading(self) -> None:
        """Takes keys, once what they are meant for is there."""
        if self.is_reading:
            self.is_reading = False
            self.post_message(self.Ready())

    def complain(self, error: HeadwaterError) -> None:
        """Shows an error where the person is looking."""
        self.notify(
            clean_lines(error.hint or error.message),
            title=clean_lines(error.message) if error.hint else "",
            severity="error",
            timeout=12,
            markup=False,
        )


def scopes(screen: Screen[object]) -> tuple[Scope, ...]:
    """The keys that work on a screen, besides those that work everywhere."""
    return (screen.SCOPE, *PARTS[screen.SCOPE]) if isinstance(screen, View) else ()
