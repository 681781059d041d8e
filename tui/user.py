"""What belongs to the person and not to a run: their settings file, and what is remembered.

$XDG_CONFIG_HOME/headwater/config.toml   theme and keys, written by the person
$XDG_STATE_HOME/headwater/state.json     pinned runs, hints that were seen
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.contract.files import read_json, write_json


class User:
    """Without a folder nothing is read and nothing outlives the session."""

    def __init__(self, config: Path | None = None, state: Path | None = None) -> None:
        self._config, self._state_file = config, state
        self._state = _read_state(state)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> User:
        """The person who started the program."""
        home = Path(environment.get("HOME") or os.path.expanduser("~"))
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        state = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state")
        return cls(config / "headwater" / "config.toml", state / "headwater" / "state.json")

    def pins(self, runs: Path) -> frozenset[str]:
        """Names of the runs that are kept at the top."""
        return frozenset(self._state["pins"].get(str(runs.resolve()), ()))

    def pin(self, runs: Path, name: str) -> None:
        """Keeps a run at the top, or lets it go."""
        self._state["pins"][str(runs.resolve())] = sorted(self.pins(runs) ^ {name})
        self._save()

    def _save(self) -> None:
        if self._state_file:
            write_json(self._state_file, self._state)


def _read_state(path: Path | None) -> dict[str, Any]:
    """What was remembered; a file that is missing or of another shape counts as empty."""
    found = read_json(path) if path else None
    found = found if isinstance(found, dict) else {}
    pins, seen = found.get("pins"), found.get("seen")
    return {
        "pins": pins if isinstance(pins, dict) else {},
        "seen": seen if isinstance(seen, list) else [],
    }
