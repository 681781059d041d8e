"""Opens a page in a browser of this machine, without letting that write on the terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.contract.children import child_environment

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
_PATIENCE_S = 10
"""An opener that is still at work then is the browser itself."""


def open_page(path: Path) -> bool:
    """Opens a page; False where there is no browser that could show it.

    Without a display openers fall back on browsers for the terminal, which is taken.
    """
    opener = _opener(os.environ)
    if opener is None:
        return False
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(
        [opener, str(path)],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        start_new_session=True,
        env=child_environment(),
    )
    try:
        return process.wait(_PATIENCE_S) == 0
    except subprocess.TimeoutExpired:
        return True


def _opener(environment: Mapping[str, str]) -> str | None:
    """The program that opens pages, or None where nothing could show them."""
    if sys.platform == "darwin":
        return shutil.which("open")
    if not any(environment.get(name) for name in _DISPLAYS):
        return None
    return shutil.which("wslview") or shutil.which("xdg-open")
