"""What libraries do on their own while they are imported, and shall not."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import cast


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
