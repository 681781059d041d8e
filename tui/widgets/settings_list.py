"""Every setting, one line each."""

from __future__ import annotations

from textual.reactive import reactive

from tui.content.ink import Part, fit
from tui.drafts.fields import Field, shown
from tui.readers.clean import clean
from tui.widgets.lines import Lines

NAME = 43
"""Cells of a setting's name."""
_KIND = 24
_CUT = 300


class SettingsList(Lines):
    """Name, value, type. `*` marks what is not saved yet, `•` what is not the default."""

    fields: reactive[tuple[Field, ...]] = reactive(())
    values: reactive[dict[str, object]] = reactive(dict)
    """Values by the settings' names."""
    changed: reactive[frozenset[str]] = reactive(frozenset())
    """Names of the settings that are not saved yet."""

    @property
    def selected(self) -> Field | None:
        """The setting under the cursor."""
        return self.fields[self.cursor] if self.cursor < len(self.fields) else None

    def watch_fields(self, old: tuple[Field, ...], new: tuple[Field, ...]) -> None:
        """Another filter: the cursor stays on its setting where that is shown."""
        held = old[self.cursor] if self.cursor < len(old) else None
        self.count = len(new)
        self.cursor = new.index(held) if held in new else 0
        self.refresh()

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        kind = "type" if width >= NAME + 2 * _KIND else ""
        return [
            (f"  {fit('setting', NAME)}", "dim"),
            (fit("value", self._room(width)) + kind, "dim"),
        ]

    def line(self, index: int, width: int) -> list[Part]:
        """`* train.learning_rate    0.003    number > 0`."""
        field = self.fields[index]
        value = self.values.get(field.name, field.default)
        flag: Part = ("• ", "accent") if value != field.default else ("  ", "dim")
        if field.name in self.changed:
            flag = ("* ", "warn")
        text = fit(clean(shown(value), _CUT), self._room(width) - 1) + " "
        first = index == 0 or self.fields[index - 1].section != field.section
        return [
            flag,
            (f"{field.section}.", "plain" if first else "dim"),
            (fit(field.key, NAME - len(field.section) - 1), "strong"),
            (text, "accent" if value != field.default else "plain"),
            (field.kind if width >= NAME + 2 * _KIND else "", "dim"),
        ]

    def _room(self, width: int) -> int:
        """Cells of the value."""
        return width - NAME - 2 - (_KIND if width >= NAME + 2 * _KIND else 0)
