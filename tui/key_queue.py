"""Keys that come faster than they are acted on: each waits for the one before it.

A slow line, a paste or a key held down brings several keys in one read. Textual hands them all to
the widget that has the focus then, so that what is typed behind "/" would be commands.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.keys import KEY_NAME_REPLACEMENTS, _character_to_key
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import Worker

_Result = TypeVar("_Result")
_WORD_BY_WORD = {"alt+b": "ctrl+left", "alt+f": "ctrl+right"}
"""What some terminals send for the arrows, where there are words to go by."""
_LOOK_S, _LOOKS = 0.25, 12
"""So often, and so many times, it is looked whether the widget that has the key is still there: one
that is gone never says that it is through."""
_HELD_LOOKS = 240
"""The same where a screen holds keys back."""
_WAYS_OUT = ("leave", "app.leave")
_ACTION = "action_"
"""How the names of workers begin that do what a key asks for: most of them ask something first, and
what is typed behind the key is the answer."""
_ASK_S, _MAY_ASK_S = 0.01, 3.0
"""How often it is looked whether they have asked, and for how long."""


class KeyQueue(App[_Result]):
    """Takes the next key only when the one before it has had its effect."""

    class KeyDone(Message, bubble=True):
        """Follows a key on its way from the widget with the focus up to the app, and then what
        that widget said for it."""

        def __init__(self, target: Widget, is_last: bool = False) -> None:
            super().__init__()
            self.target, self.is_last = target, is_last

    def __init__(self) -> None:
        super().__init__()
        self._waiting_keys: deque[events.Key | events.Paste] = deque()
        self._key_in_hand: KeyQueue.KeyDone | None = None
        self._typed_on: Screen[object] | None = None
        self._is_holding = False
        self._older_workers: set[Worker[Any]] = set()
        self._may_ask_until = 0.0

    async def on_event(self, event: events.Event) -> None:
        """Puts typing in its turn; all else goes its usual way."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._waiting_keys.append(event)
            if self._key_in_hand is None:
                self._key_in_hand = self.KeyDone(self.screen)
                await self._next_key(self._key_in_hand)
            elif self._is_holding and self._is_way_out():
                await self._take_key()
        else:
            await super().on_event(event)

    def _is_way_out(self) -> bool:
        """Whether the only key that waits leads away: nothing need be read for it."""
        return len(self._waiting_keys) == 1 and self._next_action in _WAYS_OUT

    @property
    def _next_action(self) -> str | None:
        """What the next key does; None where it is written down, or does nothing."""
        if not self._waiting_keys or isinstance(key := self._waiting_keys[0], events.Paste):
            return None
        if self.focused is not None and self.focused.check_consume_key(key.key, key.character):
            return None
        active = self.active_bindings.get(key.key)
        return active.binding.action if active else None

    async def _take_key(self) -> None:
        self._is_holding = False
        if not self._waiting_keys:
            return
        event, *rest = self._apart(self._waiting_keys.popleft())
        self._waiting_keys.extendleft(rest)
        target = self.focused or self.screen
        done = self._key_in_hand = self.KeyDone(target)
        self._typed_on = self.screen
        self._older_workers = set(self.workers)
        self._may_ask_until = monotonic() + _MAY_ASK_S
        await super().on_event(event)
        if not (event.is_forwarded and self._send(done)):
            self.call_later(self._next_key, done)

    def _send(self, done: KeyDone) -> bool:
        """Sends it after the key; False where the widget is gone."""
        self._key_in_hand = done
        if is_sent := done.target.post_message(done):
            self._await(done, done.target)
        return is_sent

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

    def _await(
        self, done: KeyDone, target: Widget, looks: int = _LOOKS, patient: bool = True
    ) -> None:
        self.set_timer(_LOOK_S, lambda: self._look(done, target, looks, patient))

    async def _look(self, done: KeyDone, target: Widget, looks: int, patient: bool) -> None:
        if done is self._key_in_hand and looks and target.is_attached:
            self._await(done, target, looks - 1, patient)  # a busy machine
        else:
            await self._next_key(done, patient)

    def holds(self, action: str | None) -> bool:
        """Whether what a key is meant for is not on the screen yet, by what the key does; None: it
        is written down."""
        return False

    @property
    def _may_ask(self) -> bool:
        """Whether what the key has begun may still open a question."""
        begun = (one for one in self.workers if one not in self._older_workers)
        at_work = any(one.name.startswith(_ACTION) and not one.is_finished for one in begun)
        return at_work and monotonic() < self._may_ask_until

    def keys_may_come(self) -> None:
        """The screen that held keys back takes them from now on."""
        if self._is_holding and self._key_in_hand is not None:
            self.call_later(self._next_key, self._key_in_hand)

    def on_key_queue_key_done(self, done: KeyDone) -> None:
        """The key is through; what it asked the app to do later comes before the next one."""
        if done is not self._key_in_hand:
            return
        if done.is_last or not self._send(self.KeyDone(done.target, is_last=True)):
            self.call_later(self._next_key, self._key_in_hand)

    async def _next_key(self, done: KeyDone, patient: bool = True) -> None:
        if done is not self._key_in_hand or not self.screen_stack:
            return  # the other of the two that end the wait was first; or the program ends
        if self.screen is not self._typed_on:
            self._typed_on = self.screen
            self._may_ask_until = 0.0  # that was the question
            # a screen that has just come has neither widgets nor a focus yet
            if self.screen.call_after_refresh(self.call_later, self._next_key, done):
                self._await(done, self.screen)
                return
        elif self._may_ask:
            self.set_timer(_ASK_S, lambda: self._next_key(done, patient))
            return
        if patient and self.holds(self._next_action) and not self._is_way_out():
            if not self._is_holding:
                self._is_holding = True
                self._await(done, self.screen, _HELD_LOOKS, patient=False)
            return
        self._key_in_hand = None
        await self._take_key()
