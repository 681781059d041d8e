"""Starts, asks and ends the worker that traces new prompts, for a screen."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from pipeline.contract.errors import CancelledError
from pipeline.contract.run.asking import WorkerAddress, ask, start_worker, stop_worker
from pipeline.contract.run.replies import Query, Reply
from pipeline.contract.run.run_dir import RunDir


class Answerer:
    """Starts the run's worker where there is none, and ends the one that it started.

    Its methods wait; none is for the event loop. They may be called from several threads.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._starting = threading.Lock()
        self._is_ours = self._is_closed = False
        self._asked: socket.socket | None = None

    def warm(self, say: Callable[[str], object] = lambda phase: None) -> WorkerAddress:
        """The worker, its model loaded; `say` hears what is being loaded.

        Raises:
            CancelledError: closed meanwhile.
            HeadwaterError: it did not come up.
        """
        with self._starting:
            if self._is_closed:
                raise CancelledError("nobody asks any more")
            there = WorkerAddress.read(self._run)
            address = there or start_worker(self._run, lambda: not self._is_closed, say)
            self._is_ours |= there is None
            return address

    def replies(self, question: Query) -> Iterator[Reply]:
        """Yields the worker's replies to a query; a worker that was killed is started again.

        Raises:
            UsageError: the question is empty.
            HeadwaterError: there is no answer.
        """
        address = self.warm()
        self._asked = socket.socket(socket.AF_UNIX)
        yield from ask(address, question.validated(), self._asked)

    def abandon(self) -> None:
        """Ends the question that is being answered: the worker notices with the next words that it
        sends, and is free for another one."""
        if self._asked:
            with suppress(OSError):  # it was answered
                self._asked.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends a worker that was started here, also one that is still loading."""
        self._is_closed = True
        self.abandon()
        with self._starting:
            if self._is_ours:
                stop_worker(self._run)
