"""Prompts, and the training examples that taught their answers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.results.proofs import load_proofs
from pipeline.contract.results.sets import weighed
from pipeline.contract.run.run_dir import RunDir
from tui.content.answer_line import answer_text
from tui.content.controls_text import controls_text
from tui.content.example_text import plain_text
from tui.content.verdict_text import verdict_text
from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.ranking_reader import RankingReader, RankingsOverview
from tui.screens.curating import Curating
from tui.screens.dialogs.confirm import TextDialog
from tui.screens.mixins.browsing_state import Held
from tui.screens.mixins.comparing import Comparing
from tui.screens.mixins.filtering import Filtering
from tui.screens.mixins.ordering import Ordering
from tui.screens.mixins.proving import Proving
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.taking import Taken, Taking
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.prompt_list import PromptList
from tui.widgets.ranking_table import RankingTable

if TYPE_CHECKING:
    from tui.readers.beside import Ranked
    from tui.readers.listing import Listing
    from tui.readers.scores import Scored
    from tui.screens.example import Browsed

_LEGEND = "★ states the answer"
_GROUPS = "near-dup.: the same number, nearly the same text"
_ON_A_RANKING = frozenset(
    ("method", "filter", "end", "sort", "rank", "relevant", "compare", "export", "copy", "prove",
     "curate", "mark"))  # fmt: skip
_MOVES = ("move(", "page(", "jump(")
_PREVIEW = 4000
"""Bytes of a text that are shown below the table."""


class RankingsScreen(
    View[None], Filtering, Ordering, Comparing, Renewing, Taking, Proving, Curating
):
    """Prompts on the left, all examples ranked on the right, a look at the text below.

    On a narrow screen only the pane in use is shown: going in and out changes it.
    """

    SCOPE: ClassVar[Scope] = "rankings"
    STAGES = ("scores", "prove")
    CSS_PATH = "influence.tcss"
    AUTO_FOCUS = ""  # the panes are not there yet
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("proving"),
        *bindings("curating"),
        *bindings("rankings"),
        *bindings("taking"),
        *bindings("results"),
    ]

    def __init__(self, run: RunDir, held: Held | None = None) -> None:
        super().__init__()
        self._run, self._held = run, held
        self._reader = RankingReader(run)
        self.is_reading = True
        self._overview: RankingsOverview | None = None
        self._scored: Scored | None = None
        self._asked: GreedyAnswer | None = None
        """Whose text stands above the table."""
        self._controlled: tuple[str, str, Content] | None = None
        """A prompt, a method, and what is said of that ranking above the table."""
        self._landing: int | None = None
        """Position of the example to go to once it is ranked."""
        self._is_filled = False
        """Whether the panes have been drawn."""

    def compose(self) -> ComposeResult:
        """The panes."""
        yield Banner()
        yield Notice(id="notice")
        with Horizontal(id="panes"):
            yield PromptList(id="prompts")
            with Vertical(id="right"):
                yield Static(id="answer")
                yield Static(id="controls")
                yield Static(id="verdict")
                yield RankingTable(id="ranking")
                yield self.filter_entry("words of the text · id:… · group:7 (near-duplicates)")
                yield Static(id="preview", classes="panel")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads what there is."""
        self.query_one(Banner).trail = (self._run.name, "influence")
        self.query_one("#panes").display = False  # drawn once, when there is something in them
        self._load()

    def renewed(self) -> RankingsScreen:
        """The screen on the newer results."""
        table, answer, scored = self.filtered, self.query_one(PromptList).selected, self._scored
        if answer is None or scored is None:
            return RankingsScreen(self._run)
        at_cursor = set() if table.selected is None else {table.selected}
        held = Held(
            answer.id,
            self.ranked_by,
            self.sort,
            self.reverse,
            self.words,
            table.selected,
            table.marked,
            {position: scored.corpus.example(position).id for position in table.marked | at_cursor},
            table.has_focus,
        )
        return RankingsScreen(self._run, held)

    @work
    async def _load(self) -> None:
        failed: Exception | None = None
        try:
            self._overview = await asyncio.to_thread(self._reader.overview)
            self._scored = await asyncio.to_thread(self._reader.scored)
        except HeadwaterError as error:
            failed = error
        self.tell(failed, "the rankings")
        if self._overview and self._scored:
            self._browse(self._overview, self._scored)
            self.greet()
        else:
            self.end_reading()
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without rankings there is nothing to rank by, to filter or to take."""
        has_some = self.is_reading or self._scored is not None
        return has_some or action not in _ON_A_RANKING

    @property
    def has_hint(self) -> bool:
        """The hint tells what can be done with a ranking."""
        return self._scored is not None

    def _browse(self, overview: RankingsOverview, scored: Scored) -> None:
        if overview.stale:
            self.query_one(Banner).standing = ("≠ stale: the settings have changed since", "warn")
        self.set_reactive(RankingsScreen.ranked_by, overview.default_method)
        self.query_one(PromptList).answers = overview.answers
        if self._held:
            self._take_up(self._held, overview, scored)
        self._rank()

    def _take_up(self, held: Held, overview: RankingsOverview, scored: Scored) -> None:
        """What was chosen before, as far as it is still there."""
        ids = [answer.id for answer in overview.answers]
        if held.prompt_id not in ids:
            return
        if held.ranked_by in scored.names:
            self.set_reactive(RankingsScreen.ranked_by, held.ranked_by)
        self.set_reactive(RankingsScreen.sort, held.sort)
        self.set_reactive(RankingsScreen.reverse, held.reverse)
        self.set_reactive(RankingsScreen.words, held.words)
        self.query_one("#filter", Input).value = held.words
        self.filtered.marked = held.marked_in(scored.corpus)
        self._landing = held.position_in(scored.corpus)
        self.query_one(PromptList).cursor = ids.index(held.prompt_id)

    @property
    def filtered(self) -> RankingTable:
        """The ranking."""
        return self.query_one(RankingTable)

    @property
    def names(self) -> list[str]:
        """Methods and layers."""
        return self._scored.names if self._scored else []

    def chosen(self) -> Taken | None:
        """What an export or a copy takes from the table."""
        table, prompts = self.filtered, self.query_one(PromptList)
        if self._scored is None or table.listing is None or not table.count:
            return None
        of_table = table.listing.ranking.prompt_id  # that of the cursor may not be ranked yet
        answer = next(answer for answer in prompts.answers if answer.id == of_table)
        return Taken(self._run, self._scored, answer, table.listing, table.selected, table.marked)

    @property
    def sorts_by(self) -> str | None:
        """The prompt or set whose ranking is shown."""
        answer = self.query_one(PromptList).selected
        return answer.id if answer else None

    @property
    def sorts_method(self) -> str:
        """That of the ranking, unless it is one layer's."""
        known = self._scored is not None and self.ranked_by in self._scored.methods
        return self.ranked_by if known else ""

    def action_compare(self) -> None:
        """Puts the ranking beside another one, which the person chooses."""
        if here := self._ranked:
            self.compare(here, partial(self._open_beside, here))

    def _open_beside(self, here: Ranked, other: Ranked) -> None:
        from tui.screens.beside import BesideScreen

        self.app.push_screen(BesideScreen(here, other))

    @property
    def _ranked(self) -> Ranked | None:
        """The ranking in the table."""
        from tui.readers.beside import Ranked

        answer, overview, scored = self.query_one(PromptList).selected, self._overview, self._scored
        if answer is None or overview is None or scored is None or self.filtered.listing is None:
            return None
        return Ranked(self._run, self._reader, scored, overview.answers, answer.id, self.ranked_by)

    @on(Lines.Moved, "#prompts")
    def _prompt_changed(self) -> None:
        self._rank()

    def watch_words(self) -> None:
        """Another filter."""
        self._rank()

    def holds(self, action: str | None) -> bool:
        """Until the examples are ranked anew, another prompt may be chosen and a filter be written;
        all else is meant for what will be shown."""
        chooses = isinstance(self.focused, PromptList) and action and action.startswith(_MOVES)
        may_come = self._is_filled and (action is None or chooses)
        return super().holds(action) and not may_come

    def _rank(self) -> None:
        self.is_reading = True
        self._rank_anew()

    @work(exclusive=True)
    async def _rank_anew(self) -> None:
        """Ranks off the event loop; a newer choice replaces an older one."""
        answer = self.query_one(PromptList).selected
        if answer is None or self._scored is None:
            self.end_reading()
            return
        if answer != self._asked:
            self._asked = answer
            self.query_one("#answer", Static).update(answer_text(answer))
        listing, controls, verdict, failed = None, Content(), Content(), None
        try:
            listing, controls = await asyncio.to_thread(self._listing, answer.id)
            proofs = await asyncio.to_thread(load_proofs, self._run, answer.id)
            verdict = verdict_text(proofs)
        except HeadwaterError as error:
            failed = error
        self.tell(failed, "the rankings")
        self.query_one("#controls", Static).update(controls, layout=False)
        proven = self.query_one("#verdict", Static)
        proven.update(verdict)
        proven.display = bool(verdict.plain)
        self._show(listing)
        panes = self.query_one("#panes")
        if not panes.display:
            panes.display = self._is_filled = True
            if self._held and self._held.is_inside:
                self._to_ranking()
            else:
                self.query_one(PromptList).focus()
        self.end_reading()

    def _control(self, prompt_id: str, name: str) -> Content:
        """How far a ranking follows what says nothing about its prompt."""
        assert self._scored
        if ids := self._scored.sets.get(prompt_id):
            return Content.styled(weighed(len(ids)), "$secondary")
        if self._controlled is None or self._controlled[:2] != (prompt_id, name):
            try:
                told = controls_text(self._scored.controls(prompt_id, name))
            except HeadwaterError as error:
                told = Content.styled(clean(error.message), "$warning")
            self._controlled = prompt_id, name, told
        return self._controlled[2]

    def _listing(self, prompt_id: str) -> tuple[Listing, Content]:
        from tui.readers.listing import Listing
        from tui.readers.search import matching

        scored = self._scored
        assert scored
        listing = Listing(
            scored.corpus,
            scored.ranking(prompt_id, self.ranked_by),
            scored.relevant(prompt_id),
            matching(scored.corpus, self.words),
            self.sort,
            self.reverse,
        )
        controls = self._control(prompt_id, self.ranked_by)
        scored.forget_pages()
        return listing, controls

    def on_unmount(self) -> None:
        """Lets go of the scores at once, not when Python next looks for cycles."""
        self._scored = None

    def _show(self, listing: Listing | None) -> None:
        table = self.filtered
        table.listing = listing
        landing, self._landing = self._landing, None
        table.cursor = 0
        if landing is not None:
            self._land(landing)
        self._entitle()
        table.empty = "no example holds this" if self.words else "no example has a score"
        self._preview()

    def on_resize(self) -> None:
        """Other columns may have room now, which the legend tells of."""
        self.call_after_refresh(self._entitle)

    def _entitle(self) -> None:
        self.filtered.entitle(*self._title(self.filtered.listing))

    def _title(self, listing: Listing | None) -> tuple[str, str]:
        total = 0 if listing is None else listing.ranking.count
        shown = f"{len(listing):,} of " if self.words and listing is not None else ""
        legend = _LEGEND if listing is not None and listing.relevant else ""
        below = " · ".join(filter(None, (legend, _GROUPS * self.filtered.shows_groups)))
        if self.words:
            from tui.readers.search import told

            below = told(self.words)
        return f"{self.order_told} · {shown}{total:,}", below

    @on(Lines.Moved, "#ranking")
    def _preview(self) -> None:
        position = self.filtered.selected
        text = Content()
        if position is not None and self._scored:
            text = plain_text(self._scored.corpus.text(position, _PREVIEW))
        self.query_one("#preview", Static).update(text, layout=False)

    @on(Lines.Chosen, "#prompts")
    def _to_ranking(self) -> None:
        self.add_class("-in")
        self.filtered.focus()

    @on(Lines.Chosen, "#ranking")
    def _open_example(self) -> None:
        from tui.screens.example import ExampleScreen

        table = self.filtered
        if self._scored and self._overview and table.listing and table.selected is not None:
            shown = ExampleScreen(
                self._run,
                self._reader,
                self._scored,
                self._overview.answers,
                table.listing,
                table.selected,
                table.marked,
            )
            self.app.push_screen(shown, self._came_back)

    def _came_back(self, left: Browsed | None) -> None:
        """Leaves the cursor on the example that was read last, for the prompt it was read for."""
        if left is None:
            return
        table, prompts = self.filtered, self.query_one(PromptList)
        table.marked = left.marked
        ids = [answer.id for answer in prompts.answers]
        now = None if table.listing is None else table.listing.ranking
        if now and (now.prompt_id, now.name) == (left.prompt_id, left.ranked_by):
            self._land(left.position)
        else:
            self._landing = left.position
            self.set_reactive(RankingsScreen.ranked_by, left.ranked_by)
            prompts.cursor = ids.index(left.prompt_id)
            self._rank()

    def _land(self, position: int) -> None:
        """Puts the cursor on an example, or on the first line where it is not shown."""
        table = self.filtered
        table.cursor = (table.listing.line_of(position) or 0) if table.listing else 0

    def action_leave(self) -> None:
        """One step out: from the filter, from the ranking, from the screen."""
        if self.end_filter():
            return
        if self.filtered.has_focus:
            self.remove_class("-in")
            self.query_one(PromptList).focus()
        else:
            self.app.pop_screen()

    def action_filter(self) -> None:
        """Opens the filter; on a narrow screen, over the ranking."""
        self.add_class("-in")
        super().action_filter()

    @work
    async def action_rank(self) -> None:
        """Goes to the example of a rank, or to the nearest one that is shown."""
        table = self.filtered
        listing = table.listing
        if listing is None or not len(listing):
            return
        total = listing.ranking.count

        def fault(text: str) -> str:
            known = text.strip().isdecimal() and 1 <= int(text) <= total
            return "" if known else f"a rank from 1 to {total:,}"

        given = await self.app.push_screen_wait(TextDialog("Go to rank", "", fault))
        if given is not None and table.listing is listing:
            self._go(listing.line_of_rank(int(given)))

    def action_ask(self) -> None:
        """Puts the prompt under the cursor to the model."""
        from tui.screens.ask import AskScreen

        answer = self.query_one(PromptList).selected
        if answer and self._scored and answer.id in self._scored.sets:
            answer = None  # a question is one prompt
        given = (answer.prompt, answer.completion, answer.set_against) if answer else ("", "", None)
        if answer and answer.correct is False:
            given = (
                answer.prompt,
                "",
                None,
            )  # what taught the wrong answer stands in no ranking here
        self.app.push_screen(AskScreen(self._run, *given))

    def action_relevant(self, step: int = 1) -> None:
        """Goes to the next example that states the answer, or to the one before."""
        table = self.filtered
        line = table.listing.next_relevant(table.cursor, step) if table.listing else None
        if line is not None:
            self._go(line)

    def _go(self, line: int) -> None:
        self._to_ranking()
        self.filtered.cursor = line
