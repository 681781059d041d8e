"""The person's settings file, checked as a run's is; imported only where there is such a file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pipeline.contract.errors import SettingsError
from pipeline.contract.settings.faults import parse_as
from tui.person.keymap import check_keymap


class UserSettings(BaseModel):
    """What a person may set for all of their runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    theme: str = ""
    """A theme's name; empty = the one that suits the terminal."""
    keys: dict[str, str] = {}
    """Other keys for actions, by the names that `headwater keys` lists."""


def parse_user_settings(text: str, name: str) -> UserSettings:
    """Reads the settings from TOML text; `name` is what errors call the file.

    Raises:
        SettingsError: an unknown setting, a value of another type, or keys that will not do.
    """
    settings = parse_as(UserSettings, text, name)
    try:
        check_keymap(settings.keys)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error.message}", error.hint) from error
    return settings
