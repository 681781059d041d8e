"""Every setting of a run, edited in place."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.geometry import Offset
from textual.widgets import Input, Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import stages_reading
from tui.drafts.fields import Field, all_fields, read_typed, shown
from tui.drafts.settings import SettingsDraft
from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.stage_results import current_plan
from tui.readers.words import holds
from tui.screens.mixins.drafting import Drafting
from tui.screens.mixins.filtering import Filtering
from tui.screens.prompts import PromptsScreen
from tui.widgets.banner import Banner
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.settings_list import NAME, SettingsList

_BEFORE_VALUE = NAME + 4
"""Cells of a line that lie before the value."""


class SettingsScreen(Drafting[SettingsDraft], Filtering):
    """Edits the draft of a run's settings."""

    SCOPE: ClassVar[Scope] = "settings"
    CSS_PATH = "editors.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("settings")
    CONTENT = "settings"

    def __init__(self, run: RunDir) -> None:
        super().__init__(run)
        self._fields = all_fields()

    def compose(self) -> ComposeResult:
        """The settings, and what the one under the cursor means."""
        yield Banner()
        yield Notice(id="notice")
        with Horizontal(id="editor"):
            yield SettingsList(id="settings")
            yield Static(id="meaning", classes="panel")
        yield self.filter_entry("words of a setting's name or meaning")
        yield Entry(id="value")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads what is saved."""
        self.query_one(Banner).trail = (self._run.name, "settings")
        self._entry.display = False
        try:
            self._draft = SettingsDraft(self._run)
        except HeadwaterError as error:
            self.query_one("#editor").display = False
            self.query_one(Notice).trouble = str(error)
            return
        self.list.fields = self._fields
        self._show()

    @property
    def list(self) -> SettingsList:
        """The settings."""
        return self.query_one(SettingsList)

    filtered = list

    @property
    def _entry(self) -> Input:
        return self.query_one("#value", Input)

    def _show(self) -> None:
        """Hands the draft to the widgets."""
        draft, rows = self._draft, self.list
        assert draft is not None
        rows.values = {field.name: draft.value(field) for field in self._fields}
        rows.changed = frozenset(f.name for f in self._fields if draft.differs(f))
        rows.refresh()
        self._entitle()
        self.query_one(Notice).trouble = draft.trouble()
        self._explain()

    def _entitle(self, fault: str = "") -> None:
        """Below the list: what is wrong with what is typed, or how to save."""
        changed = self._draft is not None and self._draft.is_changed
        advice = "{settings.save} saves * lines" if changed else "• not the default"
        rows = self.list
        rows.set_class(bool(fault), "-wrong")
        below = f"✗ {clean(fault)}" if fault else self.told(advice)
        rows.entitle(f"Settings · {len(rows.fields):,}", below)

    @on(Lines.Moved, "#settings")
    def _explain(self) -> None:
        field, meaning = self.list.selected, self.query_one("#meaning", Static)
        meaning.border_title = Content(field.name if field else "Meaning")
        meaning.update(_meaning(field, self.list.values.get(field.name)) if field else "")

    def watch_words(self, words: str) -> None:
        """Another filter."""
        self.list.fields = tuple(f for f in self._fields if holds(f"{f.name} {f.help}", words))
        self.list.empty = "no setting holds these words"
        self._show()

    # Changing a value

    @on(Lines.Chosen, "#settings")
    def _edit(self) -> None:
        """Opens the value under the cursor; where the values are named, takes the next."""
        field = self.list.selected
        if field is None or self._draft is None:
            return
        if field.options:
            self.action_choice()
            return
        rows, entry = self.list, self._entry
        inner = rows.content_region
        line = 1 + rows.cursor - round(rows.scroll_offset.y)
        entry.styles.offset = Offset(inner.x + _BEFORE_VALUE, inner.y + line)
        entry.styles.width = max(8, inner.width - _BEFORE_VALUE)
        entry.value = shown(self._draft.value(field))
        entry.cursor_position = len(entry.value)
        entry.display = True
        entry.focus()

    @on(Input.Changed, "#value")
    def _check(self, event: Input.Changed) -> None:
        """Says while it is typed what is wrong."""
        field = self.list.selected
        fault = self._draft.fault(field, event.value) if self._draft and field else ""
        self._entry.set_class(bool(fault), "-wrong")
        self._entitle(fault)

    @on(Input.Submitted, "#value")
    def _typed(self, event: Input.Submitted) -> None:
        field = self.list.selected
        if field and self._draft and not self._draft.fault(field, event.value):
            self._draft.set(field, read_typed(field, event.value), event.value)
            self._close_entry()
            self._show()

    def on_resize(self) -> None:
        """The line of the value lies elsewhere now."""
        if self.is_mounted and self._entry.display:
            self._close_entry()

    def _close_entry(self) -> None:
        self._entry.display = False
        self._entitle()
        self.list.focus()

    def action_choice(self, step: int = 1) -> None:
        """Takes the next of the named values, or the one before."""
        field = self.list.selected
        if field and self._draft and field.options:
            value = self._draft.value(field)
            position = field.options.index(value) if value in field.options else -1
            self._draft.set(field, field.options[(position + step) % len(field.options)])
            self._show()

    def action_default(self) -> None:
        """Puts back the default."""
        field = self.list.selected
        if field and self._draft:
            self._draft.set(field, field.default)
            self._show()

    def action_take_back(self) -> None:
        """Puts back what is saved."""
        field = self.list.selected
        if field and self._draft:
            self._draft.take_back(field)
            self._show()

    def action_plan(self) -> None:
        """Takes in what the run's plan advises; nothing is saved yet."""
        plan = current_plan(self._run)
        advised = [advice for advice in plan.advice if advice.changes] if plan else []
        if not advised or self._draft is None:
            why = "the plan advises nothing" if plan else "no plan is of these settings"
            told = f"{why}; headwater plan {self._run.name} makes one"
            self.notify(clean(told), markup=False)
            return
        fields = {field.name: field for field in self._fields}
        for advice in advised:
            for section, values in advice.changes.items():
                for key, value in values.items():
                    self._draft.set(fields[f"{section}.{key}"], value)
        self._show()
        self.notify(clean("\n".join(advice.why for advice in advised)), markup=False)

    # Saving and leaving

    def can_save(self) -> bool:
        """Only settings that make sense together."""
        trouble = self._draft.trouble() if self._draft else ""
        self.query_one(Notice).trouble = trouble
        return not trouble

    def action_prompts(self) -> None:
        """Opens the prompts."""
        self.app.push_screen(PromptsScreen(self._run))

    @work
    async def action_leave(self) -> None:
        """One step out: from a value, from the filter, from the screen."""
        if self._entry.display:
            self._close_entry()
        elif not self.end_filter() and await self.may_go():
            self.dismiss()


def _meaning(field: Field, value: Any) -> Content:
    """What a setting means, takes, and makes stale."""
    stale = ", ".join(stages_reading(field.section, field.key)) or "nothing"
    named = ", ".join(map(shown, field.options)) or field.valid
    facts = [
        ("type", field.kind),
        *([("valid", named)] if named else []),
        ("default", shown(field.default) or "empty"),
        ("makes stale", stale),
        ("now", clean(shown(value), 300) or "empty"),
    ]
    lines = [Content.assemble((f"{name:<13}", "$secondary"), text) for name, text in facts]
    return Content("\n").join([Content(field.help), *lines])
