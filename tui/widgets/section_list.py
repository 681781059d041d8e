"""The contents of a report."""

from __future__ import annotations

from textual.reactive import reactive

from tui.content.ink import Part, fit
from tui.readers.clean import clean
from tui.readers.report import Section
from tui.widgets.lines import Lines

_CUT = 200


class SectionList(Lines):
    """One line a section, indented by its level."""

    sections: reactive[tuple[Section, ...]] = reactive(())

    @property
    def selected(self) -> Section | None:
        """The section under the cursor."""
        return self.sections[self.cursor] if self.cursor < len(self.sections) else None

    def watch_sections(self, old: tuple[Section, ...], new: tuple[Section, ...]) -> None:
        """Another filter: the cursor stays on its section where that is shown."""
        held = old[self.cursor] if self.cursor < len(old) else None
        self.count = len(new)
        self.cursor = new.index(held) if held in new else 0
        self.refresh()

    def line(self, index: int, width: int) -> list[Part]:
        """Sections above others stand out."""
        section = self.sections[index]
        indent = 2 * max(0, section.level - 2)
        text = fit(" " * indent + clean(section.title, _CUT), width)
        return [(text, "strong" if section.level <= 2 else "plain")]
