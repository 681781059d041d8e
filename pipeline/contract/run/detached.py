"""Processes that outlive whoever starts them: a run's supervisor, the worker that answers."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from pipeline.contract.children import child_environment, python_command


def start_detached(module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Starts `python -m module` in a session of its own, its output appended to `log`."""
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            python_command("-m", module, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            start_new_session=True,
        )
    # waited for whenever it ends: a dashboard that is open for days would collect zombies
    threading.Thread(target=process.wait, name=f"wait for {module}", daemon=True).start()
    return process
