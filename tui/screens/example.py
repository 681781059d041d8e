"""One training example in full: its text by token, and where it stands in every respect."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.results.common import Loaded
from pipeline.contract.results.proofs import Proof, load_proofs
from pipeline.contract.run.proving import question_id
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from tui.content.answer_line import answer_text
from tui.content.example_text import LEGENDS, document_text, example_text, title_of
from tui.content.module_map import module_map
from tui.content.tint import MANNERS, Manner
from tui.content.verdict_text import proofs_of, verdict_text
from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.detail import Detail, Relative, detail
from tui.readers.listing import Listing
from tui.readers.sources import ScoredExamples, TokenSource
from tui.screens.mixins.picking import Picking
from tui.screens.mixins.proving import Proving
from tui.screens.mixins.taking import Taken, Taking
from tui.screens.mixins.tracing import Tracing
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.scrolling import TextPane
from tui.widgets.standings import Standings

_PARTS = ("methods", "map-pane", "prompts", "duplicates", "document")
_NO_TOKENS = "token scores: only for the default method's first examples"
_NO_MODULES = (
    "no scores module by module: the scores stage keeps them, for its prompts, up to 1 GiB"
)


@dataclass(frozen=True)
class Browsed:
    """Where a person was when they left the examples."""

    prompt_id: str
    ranked_by: str
    position: int
    marked: frozenset[int]


class ExampleScreen(View[Browsed], Picking, Taking, Proving, Tracing):
    """An example of a listing; from it, its neighbours there, its kin, and other prompts."""

    SCOPE: ClassVar[Scope] = "example"
    AUTO_FOCUS = ""  # the panes are not there yet
    CSS_PATH = "influence.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("example"),
        *bindings("taking"),
        *bindings("proving"),
    ]

    position: reactive[int] = reactive(0, init=False, repaint=False)
    manner: reactive[Manner] = reactive("colour", init=False, repaint=False)
    part: reactive[int] = reactive(0, init=False, repaint=False)
    """Which of the parts beside the text is shown, where there is room for one only."""
    whole: reactive[bool] = reactive(False, init=False, repaint=False)
    """Whether the text is the whole document."""
    marked: reactive[frozenset[int]] = reactive(frozenset(), init=False, repaint=False)

    def __init__(
        self,
        run: RunDir,
        reader: TokenSource,
        scored: ScoredExamples,
        answers: tuple[GreedyAnswer, ...],
        listing: Listing,
        position: int,
        marked: frozenset[int],
        origin: str = "influence",
        question: Query | None = None,
    ) -> None:
        """`origin`: what the screen is called that this one was opened from; `question`: what was
        asked there, where it is no prompt of the run."""
        super().__init__()
        self._was_asked = question
        self._origin = origin
        self._run, self._reader, self._scored, self._listing = run, reader, scored, listing
        self._answers = {answer.id: answer for answer in answers}
        self._detail: Detail | None = None
        self._is_ranking = False
        self._proofs: list[Loaded[Proof]] = []
        self._taught: bool | None = None
        self.set_reactive(ExampleScreen.position, position)
        self.set_reactive(ExampleScreen.marked, marked)

    def compose(self) -> ComposeResult:
        """The prompt above, the text in the middle, what is known beside or below it."""
        yield Banner()
        yield Notice(id="notice")
        yield Static(id="answer")
        yield Static(id="origin")
        yield Static(id="verdict")
        with Container(id="detail"):
            with TextPane(id="text", classes="panel"):
                yield Static(id="body")
            with Container(id="parts"):
                yield Standings(id="methods", classes="panel part")
                with TextPane(id="map-pane", classes="panel part"):
                    yield Static(id="map")
                yield Standings(id="prompts", classes="panel part")
                yield Standings(id="duplicates", classes="panel part")
                yield Standings(id="document", classes="panel part")
        yield KeyBar()

    def on_mount(self) -> None:
        """Shows the example."""
        if self.app.no_color:
            self.set_reactive(ExampleScreen.manner, "signs")
        self.watch_part()
        self.query_one("#detail").display = False  # drawn once, when there is something in it
        self._read()

    def on_resize(self) -> None:
        """The map takes the width that there is."""
        self.call_after_refresh(self._show_map)

    def watch_position(self) -> None:
        """Another example."""
        self.query_one("#text", TextPane).scroll_home(animate=False)
        self._read()

    def watch_manner(self) -> None:
        """Tokens in another manner."""
        self._show_text()

    def watch_whole(self) -> None:
        """The document, or the example alone."""
        self._show_text()

    def watch_marked(self) -> None:
        """The example is marked, or not."""
        self._show_banner()

    def watch_part(self) -> None:
        """Another part beside the text."""
        for number, name in enumerate(_PARTS):
            self.query_one(f"#{name}").set_class(number == self.part, "-shown")

    def holds(self, action: str | None) -> bool:
        """Until an example is read, only others may be gone to; until there is another ranking, not
        even these, which are those of the one before."""
        goes_on = self._detail and not self._is_ranking and action and action.startswith("step(")
        return super().holds(action) and not goes_on

    def renew(
        self,
        reader: TokenSource,
        scored: ScoredExamples,
        listing: Listing,
        position: int,
        marked: frozenset[int],
    ) -> None:
        """Shows the same example as it stands in a newer list."""
        self._reader, self._scored, self._listing = reader, scored, listing
        self.set_reactive(ExampleScreen.position, position)
        self.set_reactive(ExampleScreen.marked, marked)
        self._read()

    def tokens_came(self, example_id: str) -> None:
        """What predicting each token of an example adds is known now, and was not before."""
        if self._detail and self._detail.example.id == example_id:
            self._read()

    def _read(self) -> None:
        self.is_reading, self._is_ranking = True, False
        self._read_anew()

    @work(exclusive=True)
    async def _read_anew(self) -> None:
        failed = None
        prompt = self._listing.ranking.prompt_id
        try:
            arguments = (self._reader, self._scored, self._listing, self.position)
            self._detail = await asyncio.to_thread(detail, *arguments)
            self._taught = await asyncio.to_thread(self._scored.taught, prompt)
            proven = question_id(self._was_asked) if self._was_asked else prompt
            self._proofs = await asyncio.to_thread(load_proofs, self._run, proven)
        except HeadwaterError as error:
            failed = error
        self.query_one(Notice).tell(failed, "the example")
        if self._detail and not failed:
            self._show(self._detail)
        self._show_panes()
        self.end_reading()

    def _show_panes(self) -> None:
        panes = self.query_one("#detail")
        if self._detail and not panes.display:
            panes.display = True
            self.query_one("#text").focus()
            self.call_after_refresh(self._show_map)  # which takes the width that there is

    def _show(self, found: Detail) -> None:
        ranking = self._listing.ranking
        answer = self._answers[ranking.prompt_id]
        self.look_for_copies(answer.prompt, answer.completion)
        self.show_copies()
        verdict = verdict_text(proofs_of(self._proofs, found.example.id))
        self.query_one("#verdict", Static).update(verdict)
        self.query_one("#verdict").display = bool(verdict.plain)
        methods = self._standings("methods", "Methods and layers", ranking.name)
        methods.standings = tuple(found.by_method)
        prompts = self._standings("prompts", "For other prompts", ranking.prompt_id)
        prompts.notes = tuple(self._question(standing.name) for standing in found.by_prompt)
        prompts.standings = tuple(found.by_prompt)
        count = found.duplicate_count
        self._show_kin("duplicates", f"Near-duplicates · {count:,}", found.duplicates)
        chunks = found.example.chunks
        self._show_kin(
            "document", f"Document · {chunks:,} chunk{'s' * (chunks > 1)}", found.document.chunks
        )
        self._show_text()
        self._show_map()
        self._show_banner()

    def show_copies(self) -> None:
        """The answer, its copies marked, and the word for where it comes from."""
        answer = self._answers[self._listing.ranking.prompt_id]
        self.query_one("#answer", Static).update(answer_text(answer, self.copies))
        self.query_one("#origin", Static).update(self.origin(self._taught))

    def _standings(self, name: str, title: str, current: str) -> Standings:
        part = self.query_one(f"#{name}", Standings)
        part.current = current
        part.entitle(title)
        return part

    def _show_kin(self, name: str, title: str, kin: list[Relative]) -> None:
        part = self._standings(name, title, self._detail.example.id if self._detail else "")
        part.notes = tuple(relative.excerpt for relative in kin)
        part.standings = tuple(relative.standing for relative in kin)
        part.empty = "none known"

    def _question(self, prompt_id: str) -> str:
        answer = self._answers.get(prompt_id)
        return f"{answer.prompt} → {answer.completion.strip()}" if answer else ""

    def _show_text(self) -> None:
        found = self._detail
        if found is None:
            return
        pane = self.query_one("#text", TextPane)
        answer = self._answers[self._listing.ranking.prompt_id]
        pane.border_title = Content(title_of(found, answer))
        pane.border_subtitle = LEGENDS[self.manner] if found.tokens else _NO_TOKENS
        few = self.app.current_theme.ansi
        text = example_text(found.text, found.tokens, self.manner, few, found.turns)
        if self.whole:
            text = document_text(found.document.before, text, found.document.after)
        self.query_one("#body", Static).update(text)

    def _show_map(self) -> None:
        pane = self.query_one("#map-pane", TextPane)
        modules = self._detail.modules if self._detail else None
        if self._detail is None:
            return
        pane.border_title = Content("Layers × modules")
        if modules is None:
            self.query_one("#map", Static).update(_NO_MODULES)
            return
        pane.border_title = Content(f"Layers × modules · {clean(modules.strategy)}, % of the score")
        width = pane.scrollable_content_region.width
        shown = module_map(modules, width, self.app.current_theme.ansi)
        self.query_one("#map", Static).update(shown)

    def _show_banner(self) -> None:
        found, ranking = self._detail, self._listing.ranking
        if found is None:
            return
        rank = f"{found.standing.rank:,}" if found.standing.rank else "–"
        part = f"{rank} of {found.ranked:,} by {ranking.name}"
        banner = self.query_one(Banner)
        banner.trail = (self._run.name, self._origin, part)
        banner.standing = ("● marked" if self.position in self.marked else "", "accent")

    def action_step(self, step: int) -> None:
        """The next example of the table, or the one before."""
        listing = self._listing
        if len(listing):
            line = listing.line_of(self.position)
            line = -1 if line is None else line
            self.position = listing.position(max(0, min(len(listing) - 1, line + step)))

    def action_tokens(self) -> None:
        """Shows what each token adds by colour, by signs, or not at all."""
        self.manner = MANNERS[(MANNERS.index(self.manner) + 1) % len(MANNERS)]

    def action_method(self) -> None:
        """The same example by another method or layer."""
        ranking = self._listing.ranking
        self.pick(self._scored.names, ranking.name, partial(self._rank, ranking.prompt_id))

    def action_part(self) -> None:
        """Goes to the next part beside the text."""
        self.part = (self.part + 1) % len(_PARTS)
        self.query_one(f"#{_PARTS[self.part]}").focus()

    def action_document(self) -> None:
        """Shows the whole document, or the example alone."""
        self.whole = not self.whole

    def action_trace(self) -> None:
        """Lists the places of the answer's copies; makes the index where there is none."""
        from tui.screens.copies import CopiesScreen

        if self.traced:
            self.app.push_screen(CopiesScreen(self._run, *self.traced))

    def action_mark(self) -> None:
        """Marks the example, or takes its mark away."""
        self.marked ^= {self.position}

    def chosen(self) -> Taken | None:
        """What an export or a copy takes: the marked examples, or this one."""
        answer = self._answers[self._listing.ranking.prompt_id]
        marked = self.marked or frozenset({self.position})
        at = (self._listing, self.position, marked)
        return Taken(self._run, self._scored, answer, *at, question=self._was_asked)

    def action_leave(self) -> None:
        """Back to the ranking."""
        ranking = self._listing.ranking
        self.dismiss(Browsed(ranking.prompt_id, ranking.name, self.position, self.marked))

    @on(Lines.Chosen, "#duplicates")
    @on(Lines.Chosen, "#document")
    def _to_relative(self, event: Lines.Chosen) -> None:
        if self._detail:
            kin = self._detail.duplicates
            if event.lines.id == "document":
                kin = self._detail.document.chunks
            self.position = kin[event.index].position

    @on(Lines.Chosen, "#methods")
    @on(Lines.Chosen, "#prompts")
    def _to_ranking(self, event: Lines.Chosen) -> None:
        """The same example by another method, or for another prompt."""
        ranking = self._listing.ranking
        chosen = self.query_one(f"#{event.lines.id}", Standings).selected
        if chosen and event.lines.id == "methods":
            self._rank(ranking.prompt_id, chosen.name)
        elif chosen:
            self._rank(chosen.name, ranking.name)

    def _rank(self, prompt_id: str, name: str) -> None:
        self.is_reading = self._is_ranking = True
        self._rank_anew(prompt_id, name)

    @work(exclusive=True)
    async def _rank_anew(self, prompt_id: str, name: str) -> None:
        self._listing = await asyncio.to_thread(self._ranked, prompt_id, name)
        self._read()

    def _ranked(self, prompt_id: str, name: str) -> Listing:
        ranking = self._scored.ranking(prompt_id, name)
        return Listing(self._scored.corpus, ranking, self._scored.relevant(prompt_id))
