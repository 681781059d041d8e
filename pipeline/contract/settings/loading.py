"""Reads settings.toml; says what is wrong in it, all faults at once."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.errors import SettingsError
from pipeline.contract.files import read_text
from pipeline.contract.settings.faults import parse_as
from pipeline.contract.settings.schema import Settings


def parse_settings(text: str, name: str) -> Settings:
    """Reads settings from TOML text; `name` is what errors call the file.

    Raises:
        SettingsError: naming file, line, key, value and the valid values.
    """
    return parse_as(Settings, text, name)


def load_settings(path: Path) -> Settings:
    """Reads a settings file; see `parse_settings`.

    Raises:
        SettingsError: also where there is no such file.
    """
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        hint = "`headwater init` writes one with every setting explained"
        raise SettingsError(f"there is no settings file {path}", hint) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    return parse_settings(text, str(path))
