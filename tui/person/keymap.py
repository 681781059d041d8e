"""Checks the keys that a person chooses: whether they exist and whether they collide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pipeline.contract.errors import SettingsError
from tui.keys import KEY, NAMED, PARTS, Key, keys, letter_of

_FUNCTION = re.compile(r"f([1-9]|1\d|2[0-4])")


def check_keymap(keymap: Mapping[str, str]) -> None:
    """Checks a person's keymap.

    Raises:
        SettingsError: there is no such action or key, a key would do two things in one scope, or a
            letter would have to be a key while letters are written.
    """
    for name in keymap:
        if name not in KEY:
            hint = f"{_meant(name, KEY)}`headwater keys` lists all"
            raise SettingsError(f"no key is called {name!r}", hint)
        _check_names(KEY[name], keymap)
    for scope, parts in PARTS.items():
        _check_together(keys(scope, *parts, "entry", "app"), keymap)
    for box in ("form", "dialog", "help"):
        _check_together(keys(box, "entry", "scroll"), keymap)


def _check_names(key: Key, keymap: Mapping[str, str]) -> None:
    names = key.names(keymap)
    for name in names:
        if not _is_key(name):
            hint = f"{_meant(name.lower(), NAMED)}valid: letters, signs, f1, ctrl+g, space …"
            raise SettingsError(f"{key.id}: there is no key {name!r}", hint)
    if (key.scope in ("form", "entry") or key.action == "leave") and all(map(letter_of, names)):
        hint = "it has to work while letters are written: add a key such as escape or f2"
        raise SettingsError(f"{key.id}: {key.display(keymap)!r} alone will not do", hint)


def _check_together(together: list[Key], keymap: Mapping[str, str]) -> None:
    """Refuses a key that would do two things in one scope, unless ours does so by design."""
    for number, key in enumerate(together):
        for other in together[:number]:
            meant = key.letters({}) & other.letters({})
            if clash := key.letters(keymap) & other.letters(keymap) - meant:
                raise SettingsError(
                    f"{min(clash)!r} would be the key of {other.id} and of {key.id}"
                )


def _is_key(name: str) -> bool:
    *others, last = name.split("+") if len(name) > 1 else [name]
    if not set(others) <= {"ctrl", "shift", "alt"} or (len(last) > 1 and last != last.lower()):
        return False
    return last in NAMED or bool(_FUNCTION.fullmatch(last) or letter_of(last))


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}? " if close else ""
