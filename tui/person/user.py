"""A person's own settings and state, which are the same for all runs.

$XDG_CONFIG_HOME/headwater/config.toml   theme and keys, written by the person
$XDG_STATE_HOME/headwater/state.json     pinned runs, hints that were seen
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.contract.errors import SettingsError
from pipeline.contract.files import read_object, read_text, write_text


@dataclass
class _Remembered:
    """The content of the state file."""

    pins: dict[str, list[str]] = field(default_factory=dict)
    """Folder of runs → the runs that are kept at the top."""
    seen: list[str] = field(default_factory=list)
    """Screens whose hint was given."""

    @classmethod
    def read(cls, path: Path | None) -> _Remembered:
        """Reads the state file; what cannot be read or is of another shape counts as empty.

        Checked by hand: everybody has this file, and the first paint does not wait for pydantic.
        """
        try:
            state = (read_object(path) if path else None) or {}
        except OSError:
            state = {}
        pins, seen = state.get("pins"), state.get("seen")
        pins = pins.items() if isinstance(pins, dict) else ()
        return cls({runs: _names(names) for runs, names in pins}, _names(seen))


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


class User:
    """A person's theme, keys, pinned runs and hints seen; without files it lasts for the session.

    Raises:
        SettingsError: the settings file is wrong.
    """

    def __init__(self, config: Path | None = None, state: Path | None = None) -> None:
        self._config, self._state_file = config, state
        self.theme, self.keys = "", dict[str, str]()
        self._read_settings(config)
        self._state = _Remembered.read(state)

    def _read_settings(self, path: Path | None) -> None:
        try:
            text = read_text(path) if path else ""
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return  # a container's user often has somebody else's home
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path}: {error}") from error
        if text:
            from tui.person.user_settings import (
                parse_user_settings,  # most people have no such file
            )

            settings = parse_user_settings(text, str(path))
            self.theme, self.keys = settings.theme, settings.keys

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> User:
        """The person who started the program."""
        home = Path(environment.get("HOME") or os.path.expanduser("~"))
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        state = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state")
        return cls(config / "headwater" / "config.toml", state / "headwater" / "state.json")

    def choose_theme(self, name: str) -> None:
        """Writes the theme into the settings file, the rest of it kept.

        Raises:
            SettingsError: that file cannot be read or written; the theme holds for this session.
        """
        self.theme = name
        if self._config:
            import tomlkit

            with _kept_for_now(self._config):
                text = read_text(self._config) if self._config.exists() else ""
                document = tomlkit.parse(text)
                document["theme"] = name
                write_text(self._config, tomlkit.dumps(document))

    def pins(self, runs: Path) -> frozenset[str]:
        """Names of the pinned runs."""
        return frozenset(self._state.pins.get(str(runs.resolve()), ()))

    def pin(self, runs: Path, name: str) -> None:
        """Pins a run to the top of the list, or unpins it.

        Raises:
            SettingsError: it cannot be remembered; it holds for this session.
        """
        self._state.pins[str(runs.resolve())] = sorted(self.pins(runs) ^ {name})
        self._save()

    def sees_first(self, screen: str) -> bool:
        """Whether this is the first time that the person sees a screen; the next time it is not."""
        if self._state_file is None or screen in self._state.seen:
            return False
        self._state.seen.append(screen)
        with suppress(SettingsError):  # the next session tells it again
            self._save()
        return True

    def forget_hints(self) -> None:
        """Gives every hint once more."""
        self._state.seen = []
        with suppress(SettingsError):
            self._save()

    def _save(self) -> None:
        if self._state_file:
            with _kept_for_now(self._state_file):
                # ASCII: the name of a folder may hold what is no Unicode
                write_text(self._state_file, json.dumps(asdict(self._state), indent=2) + "\n")


@contextmanager
def _kept_for_now(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        hint = "what you chose holds until you leave"
        raise SettingsError(f"{path} cannot be written: {error}", hint) from error
