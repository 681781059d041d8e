"""One of two rankings side by side: each example's rank here, and in the other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.reactive import reactive

from tui.content.example_name import example_name
from tui.content.ink import Part, fit, fit_ends
from tui.readers.clean import clean
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from tui.readers.beside import Side

_CUT = 300
_LEAST_TEXT = 24
"""Below this many cells for the text, the id is left out."""
_ID = 16
_ONLY = "only here"


class SideList(Lines):
    """One line an example: rank, rank in the other one, ≠ where these differ, ★, id, text."""

    side: reactive[Side | None] = reactive(None)

    @property
    def selected(self) -> int | None:
        """The position of the example under the cursor."""
        return self.side.listing.position(self.cursor) if self.side and self.count else None

    def watch_side(self, side: Side | None) -> None:
        """Another ranking, or its other end."""
        self.count = len(side.listing) if side else 0
        self.refresh()

    def on_unmount(self) -> None:
        """Lets go of the scores at once, not when Python next looks for cycles."""
        self.set_reactive(SideList.side, None)

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        rank, there, name = self._cells(width)
        titles = fit("rank", rank, right=True) + fit("there", there, right=True) + " " * 5
        return [(fit(titles + (fit("example", name) if name else "") + "text", width), "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`   1      12 ≠ ★ doc-0123  Mara Voss was born …`."""
        if self.side is None:
            return []
        listing, differs = self.side.listing, self.side.differs(index)
        position = listing.position(index)
        elsewhere = int(self.side.elsewhere[position])
        rank, there, name = self._cells(width)
        told = f"{elsewhere:,}" if elsewhere else _ONLY
        parts: list[Part] = [
            (fit(f"{listing.rank(index):,}", rank, right=True), "dim"),
            (fit(told, there, right=True), "warn" if differs else "plain"),
            (" ≠ " if differs else "   ", "warn"),
            ("★ " if position in listing.relevant else "  ", "warn"),
        ]
        if name:
            shown = fit_ends(clean(example_name(listing.corpus.example(position)), _CUT), name - 2)
            parts.append((shown + "  ", "plain"))
        room = max(0, width - rank - there - 5 - name)
        parts.append((fit(clean(listing.corpus.text(position, _CUT)), room), "plain"))
        return parts

    def _cells(self, width: int) -> tuple[int, int, int]:
        """Of the rank, of the rank there, and of the id, 0 where it is left out."""
        rank = cell_len(f"{self.count:,}") + 1
        most = max((int(self.side.elsewhere.max(initial=0)) if self.side else 0), 1)
        has_only = self.side is not None and not self.side.elsewhere.all()
        there = max(len("there"), len(f"{most:,}"), len(_ONLY) if has_only else 0) + 1
        left = width - rank - there - 5
        return rank, there, _ID if left - _ID >= _LEAST_TEXT else 0
