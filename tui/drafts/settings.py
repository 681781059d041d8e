"""Settings in the making: changed one by one, compared with what is saved, written back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tomli
import tomlkit

from pipeline.contract.errors import HeadwaterError, RunBusyError, SettingsError
from pipeline.contract.files import read_text
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.new_run import change_settings
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import parse_settings
from pipeline.contract.settings.schema import Settings
from tui.drafts.fields import Field, fault, read_typed


class SettingsDraft:
    """The settings of a run, comments and order kept.

    Raises:
        SettingsError: the file does not parse as TOML, or is not there.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        with _explained(run):
            self.saved = read_text(run.settings)
            self._take(self.saved)
        self._saved = self.values

    def _take(self, text: str) -> None:
        self.text = text
        sections = tomli.loads(text).items()
        self.values = {name: section for name, section in sections if isinstance(section, dict)}
        """What the draft says now, by section; what it does not name is missing."""

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save."""
        return self.text != self.saved

    def value(self, field: Field) -> Any:
        """A setting's value, its default where the draft does not name it."""
        return self.values.get(field.section, {}).get(field.key, field.default)

    def differs(self, field: Field) -> bool:
        """Whether a setting is another than what is saved."""
        saved = self._saved.get(field.section, {}).get(field.key, field.default)
        return bool(self.value(field) != saved)

    def fault(self, field: Field, text: str) -> str:
        """What is wrong with a value as typed, or nothing."""
        neighbours = self.values.get(field.section, {})
        return fault(field, read_typed(field, text), neighbours)

    def set(self, field: Field, value: Any, typed: str = "") -> None:
        """Changes a setting; `typed` is how a person wrote a number, such as 3e-4."""
        header = re.compile(rf"^[ \t]*\[[ \t]*{field.section}[ \t]*\][^\n]*\n?", re.MULTILINE)
        document = tomlkit.parse(self.text)
        section = document.get(field.section)
        if section is None or (field.key not in section and not header.search(self.text)):
            document.setdefault(field.section, tomlkit.table())[field.key] = value
        elif field.key in section:
            section[field.key] = _item(value, typed)
        else:  # below its header: at the end it would land after the next section's comment
            line = f"{field.key} = {_item(value, typed).as_string()}\n"
            self._take(header.sub(lambda match: f"{match[0].rstrip()}\n{line}", self.text, count=1))
            return
        self._take(tomlkit.dumps(document))

    def take_back(self, field: Field) -> None:
        """Puts back what is saved."""
        old = tomlkit.parse(self.saved).get(field.section, {})
        self.set(field, old.get(field.key, field.default))

    def trouble(self) -> str:
        """What is wrong with the settings as a whole, or nothing."""
        try:
            self._parsed(self.text)
        except HeadwaterError as error:
            return str(error)
        return ""

    def diff(self) -> list[str]:
        """Lines beginning with "-", "+" or a blank, the settings around a change with it."""
        lines = difflib.unified_diff(self.saved.splitlines(), self.text.splitlines(), n=1)
        return [line for line in list(lines)[2:] if not line.startswith("@@")]

    def made_stale(self) -> tuple[str, ...]:
        """Finished stages that saving would make stale."""
        try:
            before = self._parsed(self.saved)
        except HeadwaterError:
            return ()  # what cannot be read now has no stage that is up to date
        after = self._parsed(self.text)
        run = self._run
        was, will_be = RunFreshness(before, run), RunFreshness(after, run)
        fresh = [name for name in STAGES if was.is_fresh(name)]
        return tuple(name for name in fresh if not will_be.is_fresh(name))

    def save(self) -> None:
        """Writes the draft.

        Raises:
            SettingsError: they make no sense together.
            RunBusyError: something works in the run, or the file was changed meanwhile.
        """
        if read_text(self._run.settings) != self.saved:
            hint = "leave the editor without saving and come back: it shows what holds now"
            raise RunBusyError("somebody else has changed these settings meanwhile", hint)
        change_settings(self._run, self.text)
        self._take(read_text(self._run.settings))  # paths are whole there
        self.saved, self._saved = self.text, self.values

    def _parsed(self, text: str) -> Settings:
        return parse_settings(text, self._run.settings.name)


@contextmanager
def _explained(run: RunDir) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise SettingsError(f"{run.settings} cannot be edited here: {error}") from error


def _item(value: Any, typed: str) -> Any:
    """The value as TOML, a number spelled as it was typed."""
    if isinstance(value, int | float) and not isinstance(value, bool) and typed:
        return tomlkit.value(typed.strip())
    return tomlkit.item(value)
