"""By what examples are ranked, in which order, and from which end."""

from __future__ import annotations

from textual import on
from textual.reactive import reactive

from tui.readers.clean import clean
from tui.readers.ranking_reader import SORTS, Sort
from tui.screens.mixins.picking import Picking
from tui.widgets.ranking_table import RankingTable

_ORDERS: dict[Sort, str] = {
    "score": "score",
    "tokens": "tokens",
    "group": "near-duplicates",
    "corpus": "place in the corpus",
}


class Ordering(Picking):
    """The choices and their keys. A screen names `View` before this, and ranks in `_rank`."""

    ranked_by: reactive[str] = reactive("", init=False, repaint=False)
    """A method, or a layer."""
    sort: reactive[Sort] = reactive("score", init=False, repaint=False)
    reverse: reactive[bool] = reactive(False, init=False, repaint=False)

    @property
    def names(self) -> list[str]:
        """What there is to rank by."""
        raise NotImplementedError

    def _rank(self) -> object:
        raise NotImplementedError

    @property
    def order_told(self) -> str:
        """`ekfac_normalized · by tokens, top`."""
        end = "bottom" if self.reverse else "top"
        order = end if self.sort == "score" else f"by {_ORDERS[self.sort]}, {end}"
        return f"{clean(self.ranked_by)} · {order}"

    def watch_ranked_by(self) -> None:
        """Another method or layer."""
        self._rank()

    def watch_sort(self) -> None:
        """Another order."""
        self._rank()

    def watch_reverse(self) -> None:
        """The other end first."""
        self._rank()

    def action_method(self) -> None:
        """Lets the person choose a method or layer."""
        self.pick(self.names, self.ranked_by, self._rank_by)

    def _rank_by(self, name: str) -> None:
        self.ranked_by = name

    def action_end(self) -> None:
        """The other end of the ranking."""
        self.reverse = not self.reverse

    def action_sort(self) -> None:
        """Sorts by the next column."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]

    @on(RankingTable.Sorted)
    def _sort_by(self, event: RankingTable.Sorted) -> None:
        """A column was clicked; where it is sorted by already, the other way around."""
        self.reverse = event.sort == self.sort and not self.reverse
        self.sort = event.sort
