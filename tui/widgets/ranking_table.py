"""The ranked examples of one prompt, however many: only the lines in view are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.reactive import reactive

from tui.keys import bindings
from tui.readers.clean import clean
from tui.readers.format import score
from tui.widgets.ink import Part, fit, fit_ends
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from tui.readers.listing import Listing

_CUT = 400
"""Letters of a text that a line may show."""
_ID = (10, 24)
"""Least and most cells of an example's id."""
_SCORE, _TOKENS, _GROUP = 11, 8, 7
_LEAST_TEXT = 32
"""Below this many cells for the text the group is left out, then the length."""


class RankingTable(Lines):
    """One line an example: mark, rank, score, ★ where it states the answer, id, tokens, group,
    text."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("marks")

    listing: reactive[Listing | None] = reactive(None)
    marked: reactive[frozenset[int]] = reactive(frozenset(), repaint=False)
    """Places of the examples that are marked."""

    @property
    def selected(self) -> int | None:
        """The place of the example under the cursor."""
        return self.listing.place(self.cursor) if self.listing and self.count else None

    def watch_listing(self, listing: Listing | None) -> None:
        """Another ranking, or another part or order of one."""
        self.count = len(listing) if listing else 0
        self.refresh()

    def watch_marked(self) -> None:
        """An example has a mark, or none any more."""
        self.refresh_changed()

    def on_unmount(self) -> None:
        """Lets go of the scores at once, not when Python next looks for cycles."""
        self.set_reactive(RankingTable.listing, None)

    def action_mark(self) -> None:
        """Marks the example under the cursor, or takes its mark away; goes on to the next."""
        if (place := self.selected) is not None:
            self.marked ^= {place}
            self.cursor += 1

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        rank, name, facts = self._widths(width)
        titles = {_TOKENS: "tokens", _GROUP: "group"}
        names = "  " + fit("rank", rank, right=True) + fit("score", _SCORE, right=True) + "    "
        names += fit("example", name)
        names += "".join(fit(titles[cells], cells, right=True) for cells in facts)
        return [(fit(names + "  text", width), "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`● 1   +0.4213  ★ doc-0123   31   –  Mara Voss was born …`."""
        listing = self.listing
        if listing is None:
            return []
        place = listing.place(index)
        example, value = listing.corpus.example(place), float(listing.ranking.scores[place])
        rank, name, facts = self._widths(width)
        group = str(example.group) if example.group >= 0 else "–"
        told = {_TOKENS: f"{example.n_tokens:,}", _GROUP: group}
        parts: list[Part] = [
            ("● " if place in self.marked else "  ", "accent"),
            (fit(f"{listing.rank(index):,}", rank, right=True), "dim"),
            (fit(score(value), _SCORE, right=True), "pro" if value > 0 else "con"),
            ("  ★ " if place in listing.relevant else "    ", "warn"),
            (fit_ends(clean(example.id, _CUT), name), "plain"),
            *((fit(told[cells], cells, right=True), "dim") for cells in facts),
        ]
        room = max(0, width - 2 - rank - _SCORE - 4 - name - sum(facts) - 2)
        return [*parts, ("  " + fit(clean(listing.corpus.text(place, _CUT)), room), "plain")]

    def _widths(self, width: int) -> tuple[int, int, list[int]]:
        """Cells of the rank, of the id, and of length and group where there is room for them."""
        total = len(self.listing.ranking.order) if self.listing else 1
        rank = max(4, len(f"{total:,}"))
        left = width - 2 - rank - _SCORE - 4 - 2
        longest = self.listing.corpus.id_length if self.listing else 0
        name = max(_ID[0], min(_ID[1], longest, left // 3))
        facts = [_TOKENS, _GROUP]
        while facts and left - name - sum(facts) < _LEAST_TEXT:
            facts.pop()
        return rank, name, facts
