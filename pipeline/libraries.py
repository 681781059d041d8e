"""What libraries do on their own while they are imported, and shall not."""

from __future__ import annotations

import logging
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, cast

from pipeline.contract.container import usable_cpus

if TYPE_CHECKING:
    from pipeline.contract.settings.schema import Settings


def restrain_libraries() -> None:
    """Keeps code of the hub out of the process; to be called before any library is imported.

    Where the package `kernels` is installed, bitsandbytes fetches compiled code with it and runs it
    as soon as peft is imported, whether or not weights are rounded. Its advice to install that
    package, and its notice at every pass that inputs are rounded too, are left out of the logs.
    """
    do_without("kernels")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def do_without(*names: str) -> None:
    """Keeps libraries out of a process that can do without them, as if they were not installed."""
    for name in names:
        sys.modules[name] = cast(ModuleType, None)


def thread_variables(count: int) -> dict[str, str]:
    """What gives a process so many threads, from its start."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return dict.fromkeys(names, str(count))


def limit_threads(settings: Settings) -> None:
    """Sets the number of threads, before numpy and torch are imported and size their pools."""
    workers = settings.run.workers
    sharing = 1 if workers == "gpus" else workers  # there is little for a CPU to do beside a GPU
    count = settings.run.threads or max(1, usable_cpus() // sharing)
    for name, value in thread_variables(count).items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # threads that wait by spinning take the cores from the ones that work: on two busy cores a
    # training step took 7 to 14 times as long
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
