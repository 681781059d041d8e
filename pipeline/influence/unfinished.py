"""Removes the incomplete files that a killed process left in Kronfluence's folders.

Kronfluence takes every existing file for finished, so they must go before it resumes.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from pipeline.contract.files import read_json


def remove_unfinished(folder: Path) -> list[str]:
    """Deletes incomplete files from the folder; returns their names."""
    removed = []
    for path in sorted(folder.glob("*")):
        if path.is_file() and not _is_complete(path):
            path.unlink()
            removed.append(path.name)
    return removed


def _is_complete(path: Path) -> bool:
    if path.name.startswith("."):  # a temporary name: files are renamed when complete
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
