"""Resolves what settings name outside the run, once: stages never look a name up again.

A path is taken from the folder of the settings file; so is a model's or a tokenizer's name where
there is such a folder, and else from the current folder; what is no folder is a name on the hub.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.contract.files import expanded
from pipeline.contract.settings.schema import Place, Settings


def make_absolute(document: Any, settings: Settings, folder: Path) -> bool:
    """Makes the local paths of a TOML document absolute; says whether any was not.

    `settings` are those of the document; `folder` is what its paths are relative to.
    """
    changed = False
    for section, key, place in places():
        value = getattr(getattr(settings, section), key)
        if not _is_local(settings, section, key):
            continue
        whole = _each(value, partial(_resolved, place=place, folder=folder))
        if whole != value:
            document.setdefault(section, {})[key] = whole
            changed = True
    return changed


def places() -> Iterator[tuple[str, str, Place]]:
    """Section, key and mark of every setting that names something outside the run."""
    for section, outer in Settings.model_fields.items():
        fields = getattr(outer.annotation, "model_fields", {})
        for key, field in fields.items():
            for mark in field.metadata:
                if isinstance(mark, Place):
                    yield section, key, mark


def _is_local(settings: Settings, section: str, key: str) -> bool:
    """Whether the setting is in use, and may name something on this machine."""
    if (section, key) == ("data", "path"):
        return settings.data.source == "local"
    if (section, key) == ("data", "chat_template"):
        return settings.data.has_template_file
    return (section, key) != ("prompts", "path") or settings.data.source != "demo"


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return [change(one) for one in value] if isinstance(value, list) else change(value)


def _resolved(value: str, place: Place, folder: Path) -> str:
    if not value or value in place.words:
        return value
    path = expanded(value)
    if not place.may_be_name:
        return str((folder / path).resolve())
    for base in (folder, Path.cwd()):
        if os.path.isdir(base / path):
            return str((base / path).resolve())
    # "./models/tiny" and "~/tiny" can be no names of the hub: they are missing folders
    is_path = path.is_absolute() or value.startswith((".", "~"))
    return str((folder / path).resolve()) if is_path else value
