"""Reports a stage's memory use, and explains errors for lack of memory or disk space."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from pipeline.contract.errors import ResourceError, disk_full, is_disk_full, is_out_of_memory
from pipeline.contract.run.events import EventWriter

_INTERVAL_S = 2.0


@contextmanager
def reporting_memory(events: EventWriter) -> Iterator[None]:
    """Writes a memory event every two seconds, and one at the end."""
    stop = threading.Event()

    def report_until_stopped() -> None:
        while not stop.wait(_INTERVAL_S):
            _report(events)

    # a daemon, so that it never keeps a stage alive that is killed
    thread = threading.Thread(target=report_until_stopped, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _report(events)


def _report(events: EventWriter) -> None:
    rss = psutil.Process().memory_info().rss
    torch = sys.modules.get("torch")  # a stage that needs no torch does not load it for this
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_initialized():
        events.memory(
            rss,
            allocated=torch.cuda.memory_allocated(),
            reserved=torch.cuda.memory_reserved(),
            peak=torch.cuda.max_memory_allocated(),
        )
    else:
        events.memory(rss)


@contextmanager
def exhaustion_explained(advice: str) -> Iterator[None]:
    """Turns errors for lack of memory, or of disk space for weights, into clear messages.

    Raises:
        ResourceError: out of memory, with `advice` as its hint; or the disk is full.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ResourceError("out of memory", advice) from error
        if is_disk_full(error):
            raise disk_full("weights") from error
        raise
