"""The process that answers questions, as a screen uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from pipeline.contract.asking import Question, Reply, WorkerAddress, ask, start_worker, stop_worker
from pipeline.contract.errors import CancelledError
from pipeline.contract.run_dir import RunDir


class Answerer:
    """Starts the run's worker where there is none, and ends the one that it started.

    Its methods wait; none is for the event loop. They may be called from several threads.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._starting = threading.Lock()
        self._is_ours = self._is_closed = False

    def warm(self) -> WorkerAddress:
        """The worker, its model loaded.

        Raises:
            CancelledError: closed meanwhile.
            HeadwaterError: it did not come up.
        """
        with self._starting:
            if self._is_closed:
                raise CancelledError("nobody asks any more")
            there = WorkerAddress.read(self._run)
            address = there or start_worker(self._run, lambda: not self._is_closed)
            self._is_ours |= there is None
            return address

    def replies(self, question: Question) -> Iterator[Reply]:
        """What the worker says to a question; a worker that was killed meanwhile is started anew.

        Raises:
            UsageError: the question is empty.
            HeadwaterError: there is no answer.
        """
        yield from ask(self.warm(), question.checked())

    def close(self) -> None:
        """Ends a worker that was started here, also one that is still loading."""
        self._is_closed = True
        with self._starting:
            if self._is_ours:
                stop_worker(self._run)
