"""Python's garbage collector looks through all objects only while nobody presses a key.

It would else do so in the middle of reading 10,000 prompts, and while it does no thread goes on:
the next key would wait for half a second.
"""

from __future__ import annotations

import gc
import math
import time

_REST_S = 3.0
"""So long after the last key nobody is waiting for an answer."""
_THERE_S = 10.0
"""So long after the last key somebody may still be reading."""
_ROUNDS = 10
"""Collections of younger objects since the last of all, from which one is worth while: Python's
own figure."""
_NEVER = 1_000_000_000


class Collector:
    """Takes over from Python when all objects are looked through; younger ones are left to it."""

    def __init__(self) -> None:
        self._usual = gc.get_threshold()
        self._last_key = -math.inf

    def begin(self) -> None:
        """Python leaves it from now on."""
        gc.set_threshold(*self._usual[:2], _NEVER)

    def key_came(self) -> None:
        """Someone is at the keyboard."""
        self._last_key = time.monotonic()

    @property
    def is_somebody_there(self) -> bool:
        """Whether a key came a few seconds ago."""
        return time.monotonic() - self._last_key < _THERE_S

    def rest(self) -> None:
        """To be called now and then: collects if there may be something and nobody waits."""
        if gc.get_count()[2] >= _ROUNDS and time.monotonic() - self._last_key > _REST_S:
            gc.collect()

    def end(self) -> None:
        """Gives the work back to Python."""
        gc.set_threshold(*self._usual)
