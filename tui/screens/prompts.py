"""The prompts of a run: added, edited, duplicated, removed, imported."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.files import expanded, is_there
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt
from tui.drafts.prompts import FIXED, PromptsDraft
from tui.keys import Scope, bindings
from tui.readers.clean import clean, clean_lines
from tui.screens.curating import Curating
from tui.screens.dialogs.confirm import ConfirmDialog, TextDialog
from tui.screens.dialogs.conversation_form import ConversationForm
from tui.screens.dialogs.prompt_form import NO_SPACE, PromptForm
from tui.screens.mixins.drafting import Drafting
from tui.screens.mixins.view import READING
from tui.widgets.banner import Banner
from tui.widgets.draft_list import DraftList
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.scrolling import TextPane

_CUT = 5000
_NO_PROMPTS = "no prompts yet: {prompts.add} writes one, {prompts.import} imports a file"


class InFull(TextPane):
    """One prompt. Its keys scroll: Tab passes it over while all of it is in view."""

    def allow_focus(self) -> bool:
        """Whether there is more than is in view."""
        return super().allow_focus() and self.max_scroll_y > 0


class PromptsScreen(Drafting[PromptsDraft], Curating):
    """Edits the draft of a run's prompts."""

    SCOPE: ClassVar[Scope] = "prompts"
    CSS_PATH = "editors.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("curating"), *bindings("prompts")]
    CONTENT = "prompts"

    def compose(self) -> ComposeResult:
        """The prompts, and the one under the cursor in full."""
        yield Banner()
        yield Notice(id="notice")
        yield DraftList(id="prompts")
        with InFull(id="whole", classes="panel"):
            yield Static(id="wording")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads what is saved."""
        self.query_one(Banner).trail = (self._run.name, "prompts")
        self.query_one("#whole").border_title = "In full"
        self.list.empty = ""
        self._load()

    @work(group=READING)
    async def _load(self) -> None:
        try:
            self._draft = await asyncio.to_thread(self._read)
        except HeadwaterError as error:
            self.query_one(Notice).trouble = str(error)
            return
        self.list.empty = self.told(_NO_PROMPTS)
        self.query_one(Notice).warning = "\n".join(FIXED) if self._draft.is_fixed else ""
        self._show()
        self.greet()

    def _read(self) -> PromptsDraft:
        return PromptsDraft(self._run, load_settings(self._run.settings))

    @property
    def has_hint(self) -> bool:
        """The hint tells how prompts are written: not where they cannot be."""
        return self._draft is not None and not self._draft.is_fixed

    @property
    def list(self) -> DraftList:
        """The prompts."""
        return self.query_one(DraftList)

    @property
    def sorts_by(self) -> str | None:
        """The prompt under the cursor."""
        return self.list.selected.id if self.list.selected else None

    def _show(self) -> None:
        draft, rows = self._draft, self.list
        assert draft is not None
        rows.prompts = tuple(draft.prompts)
        note = self.told("changed · {prompts.save} saves") if draft.is_changed else ""
        rows.entitle(f"Prompts · {len(draft.prompts):,}", note)
        self._explain()
        self.refresh_bindings()

    @on(Lines.Moved, "#prompts")
    def _explain(self) -> None:
        prompt = self.list.selected
        wording = _wording(prompt) if prompt else Content()
        if prompt and prompt.runs_together:
            key = "" if self._draft and self._draft.is_fixed else " · {prompts.part_words} adds it"
            wording += Content.styled(f"\n\ncompletion: {NO_SPACE}{self.told(key)}", "$warning")
        self.query_one("#wording", Static).update(wording)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Prompts that the corpus brings can only be read."""
        fixed = self._draft is None or self._draft.is_fixed
        if action == "part_words":
            return not fixed and self.list.selected is not None and self.list.selected.runs_together
        return not (fixed and action in ("add", "copy", "remove", "import", "save"))

    @on(Lines.Chosen, "#prompts")
    def _edit(self) -> None:
        if self._draft and self._draft.is_fixed:
            self.complain(UsageError(*FIXED))
        elif self._draft and self.list.selected:
            self._write(self.list.selected, self.list.cursor)

    def action_add(self) -> None:
        """Writes a new prompt."""
        if self._draft:
            self._write(self._draft.new(), None)

    def action_copy(self) -> None:
        """Writes a new prompt, beginning with this one."""
        if self._draft and self.list.selected:
            self._write(self._draft.copy_of(self.list.cursor), None)

    @work(name="action_write")
    async def _write(self, prompt: Prompt, position: int | None) -> None:
        draft = self._draft
        assert draft is not None
        form = ConversationForm if prompt.messages else PromptForm
        opened = form(prompt, lambda written: draft.faults(written, position))
        if written := await self.app.push_screen_wait(opened):
            position = draft.put(written, position)
            self._show()
            self.list.cursor = position

    def action_part_words(self) -> None:
        """Puts the missing space before the completion."""
        if self._draft and self.list.selected:
            self._draft.part_words(self.list.cursor)
            self._show()

    @work
    async def action_remove(self) -> None:
        """Takes the prompt out, if a person insists."""
        prompt = self.list.selected
        if self._draft is None or prompt is None:
            return
        question = ConfirmDialog(f"Remove {prompt.id}?", _wording(prompt), "remove it", "keep it")
        if await self.app.push_screen_wait(question):
            self._draft.remove(self.list.cursor)
            self._show()

    @work
    async def action_import(self) -> None:
        """Adds the prompts of a file or folder."""
        hint = "A .jsonl or .json file, or a folder of them. Ids that are taken are passed over."
        path = await self.app.push_screen_wait(
            TextDialog("Import prompts", "", path_to_import_fault, hint)
        )
        if path is None or self._draft is None:
            return
        try:
            new, taken = await asyncio.to_thread(self._draft.take_in, Path(path))
        except HeadwaterError as error:
            self.complain(error)
            return
        over = f", {taken:,} passed over: their ids are taken" if taken else ""
        self.notify(f"{new:,} prompt{'s' * (new != 1)} came{over}", markup=False)
        self._show()


def path_to_import_fault(text: str) -> str:
    """What is wrong with a path to import prompts from, or nothing."""
    if not text.strip():
        return "name a file or a folder"
    return "" if is_there(expanded(text)) else "there is no such file or folder"


def _wording(prompt: Prompt) -> Content:
    parts: list[str | tuple[str, str]] = [
        (f"{clean(prompt.id, 200)}\n", "bold"),
        clean_lines(prompt.prompt, _CUT),
        (clean_lines(prompt.completion, _CUT), "bold $accent"),
    ]
    if prompt.instead is not None:
        parts += [(" rather than ", "$secondary"), clean_lines(prompt.instead.strip(), _CUT)]
    if prompt.set is not None:
        parts += [("\n\nset: ", "$secondary"), clean(prompt.set, 200)]
    if prompt.relevant:
        named = clean(", ".join(prompt.relevant), _CUT)
        parts += [("\n\ndocuments that state it: ", "$secondary"), named]
    return Content.assemble(*parts)
