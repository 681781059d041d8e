"""The ranked examples of one prompt, however many: only the lines in view are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from tui.content.example_name import example_name
from tui.content.ink import Part, fit, fit_ends
from tui.keys import bindings
from tui.readers.clean import clean
from tui.readers.format import aligned, score
from tui.readers.ranking_reader import Sort
from tui.widgets.lines import GUTTER, Lines

if TYPE_CHECKING:
    from tui.readers.listing import Listing

_CUT = 400
"""Letters of a text that a line may show."""
_ID = (10, 24)
"""Least and most cells of an example's name."""
_USUAL_ID = 20
"""Cells of a name that come before the examples' lengths and groups."""
_CELLS = {"mark": 2, "rank": 4, "score": 11, "star": 4, "tokens": 8, "group": 10, "gap": 2}
"""A rank may take more."""
_DECIMALS, _SMALL_DECIMALS = len(".0000"), len(".000e-00")
"""Of most scores; of a ranking without one above a hundredth, for which four decimals tell too
little. The points of all stand below one another where there is room."""
_SMALL = 0.01
_NAMES = ("mark", "rank", "score", "star", "example", "tokens", "group", "gap", "text")
_TITLES = {"group": "near-dup."}
_UNNAMED, _LEFT = ("mark", "star", "gap"), ("example", "text")
"""Columns without a title; those whose title stands at the left."""
_SORTS: dict[str, Sort] = {
    "rank": "score",
    "score": "score",
    "star": "score",
    "example": "corpus",
    "tokens": "tokens",
    "group": "group",
}
"""What a click on a column sorts by."""
_LEAST_TEXT = 32
"""Below this many cells for the text the group is left out, then the length, unless the examples
are sorted by it."""


class RankingTable(Lines):
    """One line an example: mark, rank, score, ★ where it states the answer, id, tokens, group,
    text."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("marks")

    @dataclass
    class Sorted(Message):
        """Another order is wanted; the one that holds: the other way around."""

        sort: Sort

    listing: reactive[Listing | None] = reactive(None)
    marked: reactive[frozenset[int]] = reactive(frozenset(), repaint=False)
    """Positions of the examples that are marked."""
    _score = _CELLS["score"]
    """Cells of the scores, with their points above one another."""
    _is_small = False
    """Whether no score is above a hundredth."""
    _longest = 0
    """Letters of the longest name."""

    @property
    def selected(self) -> int | None:
        """The position of the example under the cursor."""
        return self.listing.position(self.cursor) if self.listing and self.count else None

    def watch_listing(self, listing: Listing | None) -> None:
        """Another ranking, or another part or order of one."""
        self.count = len(listing) if listing else 0
        self._score = _CELLS["score"]
        if listing and listing.ranking.count:
            ends = listing.ranking.ends
            self._is_small = max(map(abs, ends)) < _SMALL
            self._score = max(self._score, *(len(self._figure(end)) + 1 for end in ends))
            self._longest = listing.corpus.id_length
            first = listing.corpus.example(listing.ranking.position(1))
            if example_name(first) != first.id:  # a file and a row
                self._longest = _ID[1]
        self.refresh()

    def watch_marked(self) -> None:
        """An example has a mark, or none any more."""
        self.refresh_changed()

    def on_unmount(self) -> None:
        """Lets go of the scores at once, not when Python next looks for cycles."""
        self.set_reactive(RankingTable.listing, None)

    def action_mark(self) -> None:
        """Marks the example under the cursor, or takes its mark away; goes on to the next."""
        if (position := self.selected) is not None:
            self.marked ^= {position}
            self.cursor += 1

    @property
    def _header_height(self) -> int:
        return 1  # of every ranking: there is no need to make one to see

    def header(self, width: int) -> list[Part]:
        """Names of the columns, the one that is sorted by with its direction."""
        sort, arrow = self._order
        parts = list[Part]()
        for name, cells in self._columns(width).items():
            is_sorted = _SORTS.get(name) == sort and name not in ("rank", *_UNNAMED)
            title = "" if name in _UNNAMED else _TITLES.get(name, name) + arrow * is_sorted
            shown = fit(title, cells, right=name not in _LEFT)
            parts.append((shown, "strong" if is_sorted else "dim"))
        return parts

    def line(self, index: int, width: int) -> list[Part]:
        """`● 1   +0.4213  ★ doc-0123   31   –  Mara Voss was born …`."""
        listing = self.listing
        if listing is None:
            return []
        position = listing.position(index)
        example, value = listing.corpus.example(position), float(listing.ranking.scores[position])
        group = str(example.group) if example.group >= 0 else "–"
        parts: dict[str, Part] = {
            "mark": ("● " if position in self.marked else "", "accent"),
            "rank": (f"{listing.rank(index):,}", "dim"),
            "score": (self._figure(value), "pro" if value > 0 else "con"),
            "star": ("  ★ " if position in listing.relevant else "", "warn"),
            "example": (clean(example_name(example), _CUT), "plain"),
            "tokens": (f"{example.n_tokens:,}", "dim"),
            "group": (group, "dim"),
            "gap": ("", "plain"),
            "text": (clean(listing.corpus.text(position, _CUT)), "plain"),
        }
        return [
            (_fitted(name, parts[name][0], cells), parts[name][1])
            for name, cells in self._columns(width).items()
        ]

    def choose_column(self, x: int) -> None:
        """Asks for another order, by the column at a cell."""
        for name, cells in self._columns(self.scrollable_content_region.width - GUTTER).items():
            if 0 <= x < cells and name in _SORTS:
                self.post_message(self.Sorted(_SORTS[name]))
            x -= cells

    @property
    def shows_groups(self) -> bool:
        """Whether there is room for the numbers of near-duplicates."""
        return "group" in self._columns(self.scrollable_content_region.width - GUTTER)

    @property
    def _order(self) -> tuple[Sort, str]:
        """What is sorted by, and an arrow for the direction."""
        if self.listing is None:
            return "score", "▼"
        return self.listing.sort, "▲" if self.listing.reverse else "▼"

    def _columns(self, width: int) -> dict[str, int]:
        """Cells of the columns that there is room for, in their order."""
        total = self.listing.ranking.count if self.listing else 1
        cells = {**_CELLS, "score": self._score, "rank": max(_CELLS["rank"], len(f"{total:,}"))}
        left = width - sum(cells[name] for name in ("mark", "rank", "score", "star", "gap"))
        room = max(left // 3, min(_USUAL_ID, left - _LEAST_TEXT))
        cells["example"] = max(_ID[0], min(_ID[1], self._longest, room))
        left -= cells["example"] + cells["tokens"] + cells["group"]
        for name in ("group", "tokens"):
            if left < _LEAST_TEXT and name != self._order[0]:
                left += cells.pop(name)
        cells["text"] = max(0, left)
        return {name: cells[name] for name in _NAMES if name in cells}

    def _figure(self, value: float) -> str:
        """A score with room behind its point for as much as others have there."""
        if self._is_small:
            return aligned(score(value), _SMALL_DECIMALS, 3 * _CELLS["score"])
        return aligned(score(value, least=0), _DECIMALS, 3 * _CELLS["score"])


def _fitted(name: str, text: str, cells: int) -> str:
    """A column's text: figures at the right, an id with both of its ends."""
    if name == "example":
        return fit_ends(text, cells)
    return fit(text, cells, right=name in ("rank", "score", "tokens", "group"))
