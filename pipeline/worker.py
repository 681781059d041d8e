"""Helps a stage in this process: `python -m pipeline.worker STAGE RUN_DIR`.

Refuses where it would compute something else than the stage; ends when the stage does.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.contract.errors import CancelledError, HeadwaterError, exhausted
from pipeline.contract.files import lenient_output
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import POLL_S, Offer, read_offer, require_same
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from pipeline.libraries import limit_threads, restrain_libraries

if TYPE_CHECKING:  # torch is imported when the number of threads is set
    from pipeline.sharing.stage import Helper

_ROOMS = {
    "factors": "influence",
    "scores": "influence",
    "index": "ask",
    "validate": "validation",
    "prove": "validation",
    "benchmark": "evaluation",
}
"""The room whose `helping.py` does a stage's parts."""


class Helping(Protocol):
    """Does parts of a stage's work, again and again, with all that it needs loaded once."""

    @property
    def device(self) -> str:
        """Where it computes."""

    def work(self, offer: Offer) -> Callable[[Helper], None] | None:
        """What does parts of the work that is offered until none is left; None where there is none
        that this worker knows.

        Raises:
            UsageError: the work is other work here than in the stage.
            ResourceError: there is not enough memory for it.
        """


def main(stage: str, run: RunDir) -> int:
    """Helps the stage, if it is at work; returns the exit code."""
    lenient_output()
    restrain_libraries()
    try:
        _help(stage, run)
        return 0
    except KeyboardInterrupt:
        return CancelledError.exit_code
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if lack := exhausted(error, run.root):
            print(lack, file=sys.stderr)
            return lack.exit_code
        raise


def _help(stage: str, run: RunDir) -> None:
    offer = read_offer(run, stage)
    if offer is None:
        return
    settings = load_settings(run.settings)
    require_same(offer, stage, RunFreshness(settings, run).fingerprint(stage), run)
    limit_threads(settings)  # before torch is imported and sizes its pool
    _help_stage(stage, settings, run, offer)


def _help_stage(stage: str, settings: Settings, run: RunDir, begun: Offer) -> None:
    """Does parts until the stage ends, or the process that started this one does.

    `begun`: an offer of the stage, for which settings and versions have been compared.
    """
    parent = os.getppid()
    from pipeline.sharing.presence import Presence
    from pipeline.sharing.stage import Helper

    room = importlib.import_module(f"pipeline.{_ROOMS[stage]}.helping")
    helping: Helping = room.helping(stage, settings, run)
    with Presence(stage, run, helping.device) as presence:
        while os.getppid() == parent:
            offer = read_offer(run, stage)
            if offer is None or offer.token != begun.token:
                return
            with _while_offered(run, stage, offer):
                if work := helping.work(offer):
                    work(Helper(stage, run, offer, presence))
            time.sleep(POLL_S)


@contextmanager
def _while_offered(run: RunDir, stage: str, offer: Offer) -> Iterator[None]:
    """Context that ends quietly where files are gone because the stage has gone on."""
    try:
        yield
    except FileNotFoundError:
        if read_offer(run, stage) == offer:
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], RunDir(Path(sys.argv[2]))))
