"""What a killed process left in Kronfluence's folders.

Kronfluence takes every file that exists for finished, so a torn one must go before it looks.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from pipeline.contract.files import read_json


def remove_unfinished(folder: Path) -> list[str]:
    """Deletes files that were not written to their end; gives their names."""
    removed = []
    for path in sorted(folder.glob("*")):
        if path.is_file() and not _is_whole(path):
            path.unlink()
            removed.append(path.name)
    return removed


def _is_whole(path: Path) -> bool:
    if path.name.startswith("."):  # written there under another name, then renamed
        return False
    if path.suffix == ".json":
        return read_json(path) is not None
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt"):  # reads the header, compares it with the size
                return True
        except SafetensorError:
            return False
    return True
