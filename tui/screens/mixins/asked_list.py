"""The examples behind the answer to a question: marked, filtered, ordered and taken out as rankings
are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.widgets import Static

from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.run.replies import AskedExample, ExampleList, ExampleTokens, Query
from tui.content import asked_text
from tui.content.example_text import plain_text
from tui.screens.mixins.filtering import Filtering
from tui.screens.mixins.ordering import Ordering
from tui.screens.mixins.proving import Proving
from tui.screens.mixins.taking import Taken, Taking
from tui.widgets.lines import Lines
from tui.widgets.ranking_table import RankingTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.readers.asked import Asked

_NAME = 40
"""Letters of the prompt in the name of an exported file."""


class AskedList(Filtering, Ordering, Taking, Proving):
    """The table `#table` and the text `#preview`. A screen names `View` before this."""

    methods: Sequence[str] = ()
    """What a score is called; and, if that is another, the raw influence."""
    found: ExampleList | None = None
    asked: Asked | None = None
    """The same, as the screens of rankings read it."""
    tokens: dict[str, ExampleTokens]
    """By the examples' ids."""

    @property
    def answer(self) -> GreedyAnswer:
        """The question and what is traced: the screen's own."""
        raise NotImplementedError

    @property
    def question(self) -> Query:
        """The same with the answer as its completion, as it can be proven."""
        raise NotImplementedError

    @property
    def filtered(self) -> RankingTable:
        """The list."""
        return self.query_one(RankingTable)

    @property
    def names(self) -> list[str]:
        """What the list can be ranked by."""
        return list(self.methods) if self.asked else []

    def clear(self) -> None:
        """Another question: nothing is known yet."""
        self.found, self.asked, self.tokens = None, None, {}
        table = self.filtered
        table.empty = "the examples come after the answer …"
        table.marked, table.listing = frozenset(), None
        table.entitle("Examples")
        self._preview()

    async def take_list(self, found: ExampleList) -> None:
        """Shows a list; marks and the cursor stay with their examples, at the top with the top."""
        asked = await asyncio.to_thread(_asked, found, self.methods, self.tokens)
        table, before = self.filtered, self.asked
        held = table.selected if table.cursor else None
        self.found, self.asked = found, asked
        table.marked = moved(table.marked, before, asked)
        self._rank()
        self.land(before, held)

    def land(self, before: Asked | None, position: int | None) -> None:
        """Puts the cursor on an example of an earlier list, where it is in this one."""
        table, asked = self.filtered, self.asked
        if position is None or asked is None or table.listing is None:
            return
        for now in moved(frozenset({position}), before, asked):
            table.cursor = table.listing.line_of(now) or 0

    def mark(self, before: Asked, marked: frozenset[int]) -> None:
        """Marks examples of an earlier list, those that are in this one."""
        if self.asked:
            self.filtered.marked = moved(marked, before, self.asked)

    def watch_words(self) -> None:
        """Another filter."""
        self._rank()

    def _rank(self) -> None:
        if self.asked is None or self.found is None:
            return
        from tui.readers.asked import ASKED
        from tui.readers.listing import Listing
        from tui.readers.search import matching, told

        asked, table = self.asked, self.filtered
        ranking, mask = asked.ranking(ASKED, self.ranked_by), matching(asked.corpus, self.words)
        listing = Listing(asked.corpus, ranking, frozenset(), mask, self.sort, self.reverse)
        table.listing, table.cursor = listing, 0
        kind = "exact" if self.found.exact else "provisional"
        shown = f"{len(listing):,} of " if self.words else ""
        title = f"Examples · {shown}{len(self.found.rows):,} · {kind} · {self.order_told}"
        table.entitle(title, told(self.words) if self.words else asked_text.scored(self.found))
        table.empty = "no example holds this" if self.words else "no example has a score"
        self._preview()

    @on(Lines.Moved, "#table")
    def _preview(self) -> None:
        """Shows the text of the example under the cursor."""
        row, pane = self._row, self.query_one("#preview", Static)
        self.set_class(row is not None, "-found")
        if row is not None:
            pane.border_title = Content(asked_text.title_of(row))
            pane.update(plain_text(row.text))

    @property
    def _row(self) -> AskedExample | None:
        position = self.filtered.selected
        return None if position is None or self.found is None else self.found.rows[position]

    def chosen(self) -> Taken | None:
        """What an export or a copy takes from the list."""
        table, asked, answer = self.filtered, self.asked, self.answer
        if asked is None or table.listing is None or not table.count:
            return None
        name = " ".join(answer.prompt.split())[:_NAME]
        shown = (table.listing, table.selected, table.marked)
        return Taken(self._run, asked, answer, *shown, name, self.question)


def _asked(found: ExampleList, methods: Sequence[str], tokens: dict[str, ExampleTokens]) -> Asked:
    """Imports NumPy, which takes a while."""
    from tui.readers.asked import Asked

    return Asked(found.rows, methods, tokens, found.taught)


def moved(positions: frozenset[int], before: Asked | None, now: Asked) -> frozenset[int]:
    """The same examples in a newer list, those that are still there."""
    ids = [before.corpus.example(position).id for position in positions] if before else []
    found = (now.corpus.position_of.get(name) for name in ids)
    return frozenset(position for position in found if position is not None)
