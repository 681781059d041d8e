"""The pages of a screen in one line: what each holds, and which one is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tui.content.ink import Ink, Part
from tui.widgets.inked import Inked


@dataclass(frozen=True)
class Leaf:
    """One page: `1 Metrics 10`; `count` is None where it holds nothing yet."""

    key: str
    title: str
    count: int | None
    stale: bool = False


class PageBar(Inked):
    """`▌1 Metrics 10   2 Answers 50   3 Benchmarks –`; a click turns to a page."""

    leaves: reactive[tuple[Leaf, ...]] = reactive((), repaint=False)
    shown: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class Turned(Message):
        """A page was clicked."""

        page: int

    def watch_leaves(self) -> None:
        """Other results."""
        self.refresh_changed()

    def watch_shown(self) -> None:
        """Another page."""
        self.refresh_changed()

    def draw_line(self, y: int) -> Strip:
        """The line."""
        return self.ink_strip([part for parts in self._parts() for part in parts], self.size.width)

    def _parts(self) -> list[list[Part]]:
        """Those of each page; where room is short, without gaps, and then without the counts of
        pages that are not shown."""
        told = list(self._told("  "))
        for gap, counts in (("", True), ("", False)):
            whole = "".join(text for parts in told for text, _ in parts)
            if cell_len(whole.rstrip()) > self.size.width:
                told = list(self._told(gap, counts))
        return told

    def _told(self, gap: str, counts: bool = True) -> Iterator[list[Part]]:
        for number, leaf in enumerate(self.leaves):
            is_shown = number == self.shown
            title: Ink = "strong" if is_shown else "dim" if leaf.count is None else "plain"
            count = "–" if leaf.count is None else f"{leaf.count:,}"
            yield [
                (" ▌" if is_shown else "  ", "accent"),
                (f"{leaf.key} ", "key"),
                (f"{leaf.title} ", title),
                (f"{count} " if counts or is_shown else "", "dim"),
                ("≠ " if leaf.stale else gap, "warn"),
            ]

    def on_click(self, event: events.Click) -> None:
        """Turns to the page under the pointer."""
        x = event.x
        for number, parts in enumerate(self._parts()):
            width = sum(cell_len(text) for text, _ in parts)
            if 0 <= x < width:
                self.post_message(self.Turned(number))
            x -= width
