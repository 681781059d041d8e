"""Prompts, and the training examples that taught their answers."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Input, Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run_dir import RunDir
from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.rankings import End, Overview, Ranked, RankingReader
from tui.screens.base import View
from tui.screens.example import ExampleScreen
from tui.widgets.answer_line import answer_text
from tui.widgets.banner import Banner
from tui.widgets.example_text import plain_text
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.prompt_list import PromptList
from tui.widgets.ranking_table import RankingTable

_PREVIEW = 2000


class RankingsScreen(View[None]):
    """Prompts on the left, their ranking on the right, a look at the text below.

    On a narrow screen only the pane in use is shown: going in and out changes it.
    """

    SCOPE: ClassVar[Scope] = "rankings"
    BINDINGS: ClassVar[list[BindingType]] = bindings("rankings")

    method: reactive[str] = reactive("", init=False)
    end: reactive[End] = reactive("top", init=False)
    words: reactive[str] = reactive("", init=False)
    """Only examples with all of these words are shown."""

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self._run = run
        self._reader = RankingReader(run)
        self._overview: Overview | None = None
        self._ranked: list[Ranked] = []

    def compose(self) -> ComposeResult:
        """The panes."""
        yield Banner()
        yield Notice(id="notice")
        with Horizontal(id="panes"):
            yield PromptList(id="prompts")
            with Vertical(id="right"):
                yield Static(id="answer")
                yield RankingTable(id="ranking")
                yield Input(placeholder="words that the text must hold", id="filter")
                yield Static(id="preview")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads what there is."""
        self.query_one(Banner).trail = (self._run.name, "influence")
        self.query_one("#filter").display = False
        self.query_one("#filter", Input).cursor_blink = False
        self._load()

    @work
    async def _load(self) -> None:
        overview, trouble = None, ""
        try:
            overview = await asyncio.to_thread(self._reader.overview)
        except (HeadwaterError, OSError, ValueError, KeyError) as error:
            trouble = str(error)
        with self.unless_closed():
            self.query_one(Notice).trouble = trouble
            self.query_one("#panes").display = overview is not None
            if overview:
                self._browse(overview)

    def _browse(self, overview: Overview) -> None:
        self._overview = overview
        if overview.stale:
            self.query_one(Banner).standing = ("≠ stale: the settings have changed since", "warn")
        self.set_reactive(RankingsScreen.method, overview.default_method)
        self.query_one(PromptList).answers = overview.answers
        self._rank()

    @on(Lines.Moved, "#prompts")
    def _prompt_changed(self) -> None:
        self._rank()

    def watch_method(self) -> None:
        """Another method."""
        self._rank()

    def watch_end(self) -> None:
        """The other end."""
        self._rank()

    @work(exclusive=True)
    async def _rank(self) -> None:
        """Reads the chosen ranking off the event loop; a newer choice replaces an older one."""
        answer = self.query_one(PromptList).selected
        if answer is None:
            return
        self.query_one("#answer", Static).update(answer_text(answer))
        chosen = (answer.id, self.method, self.end)
        ranked, trouble = list[Ranked](), ""
        try:
            ranked = await asyncio.to_thread(self._reader.ranked, *chosen)
        except (OSError, ValueError, KeyError) as error:
            trouble = f"the rankings cannot be read: {error}"
        with self.unless_closed():
            self._ranked = ranked
            self.query_one(Notice).trouble = trouble
            self._show()

    def watch_words(self) -> None:
        """Another filter."""
        self._show()

    def _show(self) -> None:
        wanted = self.words.casefold().split()
        shown = [e for e in self._ranked if all(w in e.text.casefold() for w in wanted)]
        table = self.query_one(RankingTable)
        table.examples = tuple(shown)
        total = self._overview.examples if self._overview else 0
        table.border_title = Content(f"{self.method} · {self.end} {len(self._ranked)} of {total:,}")
        found = f"{len(shown)} with “{clean(self.words, 30)}”" if wanted else ""
        table.border_subtitle = Content(found)
        table.empty = "no example holds these words" if wanted else "no examples in this ranking"
        self._preview()

    @on(Lines.Moved, "#ranking")
    def _preview(self) -> None:
        example = self.query_one(RankingTable).selected
        text = plain_text(example.text[:_PREVIEW]) if example else Content()
        self.query_one("#preview", Static).update(text)

    @on(Lines.Chosen, "#prompts")
    def _to_ranking(self) -> None:
        self.add_class("-in")
        self.query_one(RankingTable).focus()

    @on(Lines.Chosen, "#ranking")
    def _open_example(self) -> None:
        table, answer = self.query_one(RankingTable), self.query_one(PromptList).selected
        if answer and table.selected:
            shown = ExampleScreen(self._reader, answer, self.method, table.examples, table.cursor)
            self.app.push_screen(shown, self._came_back)

    def _came_back(self, index: int | None) -> None:
        """Leaves the cursor on the example that was read last."""
        if index is not None:
            self.query_one(RankingTable).cursor = index

    def action_leave(self) -> None:
        """One step out: from the filter, from the ranking, from the screen."""
        if self.query_one("#filter").has_focus or self.words:
            self._close_filter("")
        elif self.query_one(RankingTable).has_focus:
            self.remove_class("-in")
            self.query_one(PromptList).focus()
        else:
            self.app.pop_screen()

    def action_method(self, step: int = 1) -> None:
        """The next method, or the one before."""
        methods = self._overview.methods if self._overview else ()
        if methods:
            place = methods.index(self.method) if self.method in methods else -1
            self.method = methods[(place + step) % len(methods)]

    def action_end(self) -> None:
        """The other end of the ranking."""
        self.end = "bottom" if self.end == "top" else "top"

    def action_filter(self) -> None:
        """Opens the filter."""
        self.add_class("-in")
        entry = self.query_one("#filter", Input)
        entry.display = True
        entry.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.words = event.value

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._close_filter(self.words)

    def _close_filter(self, words: str) -> None:
        entry = self.query_one("#filter", Input)
        entry.value = words
        entry.display = False
        self.words = words
        self.query_one(RankingTable).focus()
