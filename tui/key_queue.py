"""Keys that come faster than they are acted on: each waits for the one before it.

A slow line, a paste or a key held down brings several keys in one read. Textual hands them all to
the widget that has the focus then, so that what is typed behind "/" would be commands.
"""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from textual import events
from textual.app import App
from textual.keys import KEY_NAME_REPLACEMENTS, _character_to_key
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

_Result = TypeVar("_Result")
_WORD_BY_WORD = {"alt+b": "ctrl+left", "alt+f": "ctrl+right"}
"""What some terminals send for the arrows, where there are words to go by."""
_LOOK_S, _LOOKS = 0.25, 12
"""So often, and so many times, it is looked whether the widget that has the key is still there: one
that is gone never says that it is through."""


class KeyQueue(App[_Result]):
    """Takes the next key only when the one before it has had its effect."""

    class KeyDone(Message, bubble=True):
        """Follows a key on its way from the widget with the focus up to the app."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting_keys: deque[events.Key | events.Paste] = deque()
        self._key_in_hand: KeyQueue.KeyDone | None = None
        self._typed_on: Screen[object] | None = None

    async def on_event(self, event: events.Event) -> None:
        """Puts typing in its turn; all else goes its usual way."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._waiting_keys.append(event)
            if self._key_in_hand is None:
                await self._take_key()
        else:
            await super().on_event(event)

    async def _take_key(self) -> None:
        if not self._waiting_keys:
            return
        done = self._key_in_hand = self.KeyDone()
        event, *rest = self._apart(self._waiting_keys.popleft())
        self._waiting_keys.extendleft(rest)
        target = self.focused or self.screen
        self._typed_on = self.screen
        await super().on_event(event)
        if event.is_forwarded and target.post_message(done):
            self._await(done, target)
        else:
            self.call_later(self._next_key, done)

    def _apart(self, event: events.Key | events.Paste) -> list[events.Key | events.Paste]:
        """Esc and a letter behind it, which came so close together that they look like Alt with the
        letter, where that is nobody's key."""
        if isinstance(event, events.Paste) or not event.key.startswith("alt+"):
            return [event]
        bound = self.active_bindings
        meant = _WORD_BY_WORD.get(event.key, "")
        if event.key in bound or not event.character:
            return [event]
        if meant in bound:
            return [events.Key(meant, None)]
        letter = event.character
        name = letter if letter.isalnum() else _character_to_key(letter)
        name = KEY_NAME_REPLACEMENTS.get(name, name)
        return [events.Key("escape", "\x1b"), events.Key(name, letter)]

    def _await(self, done: KeyDone, target: Widget, looks: int = _LOOKS) -> None:
        self.set_timer(_LOOK_S, lambda: self._look(done, target, looks))

    async def _look(self, done: KeyDone, target: Widget, looks: int) -> None:
        if done is self._key_in_hand and looks and target.is_attached:
            self._await(done, target, looks - 1)  # a busy machine
        else:
            await self._next_key(done, patient=False)

    @property
    def holds_keys(self) -> bool:
        """Whether what keys are meant for is not on the screen yet."""
        return False

    def keys_may_come(self) -> None:
        """The screen that held keys back takes them from now on."""
        if self._key_in_hand is not None:
            self.call_later(self._next_key, self._key_in_hand)

    def on_key_queue_key_done(self, done: KeyDone) -> None:
        """The key is through; what it asked the app to do later comes before the next one."""
        self.call_later(self._next_key, done)

    async def _next_key(self, done: KeyDone, patient: bool = True) -> None:
        if done is not self._key_in_hand:
            return  # the other of the two that end the wait was first
        if self.screen is not self._typed_on:
            self._typed_on = self.screen
            # a screen that has just come has neither widgets nor a focus yet
            if self.screen.call_after_refresh(self.call_later, self._next_key, done):
                self._await(done, self.screen)
                return
        if patient and self.holds_keys:
            self._await(done, self.screen)
            return
        self._key_in_hand = None
        await self._take_key()
