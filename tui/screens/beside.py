"""Two rankings side by side: two methods, two prompts, or two runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError
from tui.content.answer_line import answer_text
from tui.content.example_text import plain_text
from tui.keys import Scope, bindings
from tui.readers.beside import TOP, Agreement, Ranked, Side, agreement, sides
from tui.readers.clean import clean
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.side_list import SideList

if TYPE_CHECKING:
    from textual.widget import Widget

_PREVIEW = 4000
"""Bytes of a text that are shown below the lists."""
_NAMES = ("left-side", "right-side")


class BesideScreen(View[None]):
    """The cursors of both lists stand on the same example, where both have it."""

    SCOPE: ClassVar[Scope] = "beside"
    CSS_PATH = "influence.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("beside")

    reverse: reactive[bool] = reactive(False, init=False, repaint=False)

    def __init__(self, left: Ranked, right: Ranked) -> None:
        super().__init__()
        self._ranked = (left, right)

    def compose(self) -> ComposeResult:
        """How alike they are, both lists, the text of an example."""
        yield Banner()
        yield Notice(id="notice")
        yield Static(id="answer")
        yield Static(id="agreement")
        with Horizontal(id="sides"):
            for name in _NAMES:
                yield SideList(id=name)
        yield Static(id="preview", classes="panel")
        yield KeyBar()

    def on_mount(self) -> None:
        """Ranks both."""
        left, right = self._ranked
        self.query_one(Banner).trail = (left.run.name, "influence", "side by side")
        for side, ranked in zip(self._lists, self._ranked, strict=True):
            side.empty = "ranking…"
            side.entitle(_title(ranked, beside=right if ranked is left else left))
        self._lists[0].focus()
        self._rank()

    @property
    def _lists(self) -> tuple[SideList, SideList]:
        left, right = (self.query_one(f"#{name}", SideList) for name in _NAMES)
        return left, right

    def watch_reverse(self) -> None:
        """The other end of both."""
        self._rank()

    @work(exclusive=True)
    async def _rank(self) -> None:
        failed = None
        try:
            found, alike = await asyncio.to_thread(_compared, *self._ranked, self.reverse)
        except HeadwaterError as error:
            failed = error
        self.query_one(Notice).tell(failed, "the rankings")
        if failed:
            return
        self.query_one("#answer", Static).update(answer_text(self._ranked[0].answer))
        self.query_one("#agreement", Static).update(_told(alike))
        for shown, side in zip(self._lists, found, strict=True):
            shown.side, shown.cursor = side, 0
        self._follow(self._here)

    @property
    def _here(self) -> SideList:
        """The list that is in use."""
        left, right = self._lists
        return right if right.has_focus else left

    @on(Lines.Moved)
    def _moved(self, event: Lines.Moved) -> None:
        if isinstance(event.lines, SideList) and event.lines is self._here:
            self._follow(event.lines)

    def _follow(self, here: SideList) -> None:
        """Puts the other cursor on the same example, and shows its text."""
        left, right = self._lists
        other = right if here is left else left
        position, text = here.selected, Content()
        if position is not None and here.side and other.side:
            text = plain_text(here.side.listing.corpus.text(position, _PREVIEW))
            if rank := int(here.side.elsewhere[position]):
                other.cursor = other.side.listing.line_of_rank(rank)
        self.query_one("#preview", Static).update(text, layout=False)

    @on(Lines.Chosen)
    def _open_example(self) -> None:
        from tui.screens.example import ExampleScreen

        here = self._here
        ranked = self._ranked[self._lists.index(here)]
        if here.side and here.selected is not None:
            self.app.push_screen(
                ExampleScreen(
                    ranked.run,
                    ranked.source,
                    ranked.scored,
                    ranked.answers,
                    here.side.listing,
                    here.selected,
                    frozenset(),
                )
            )

    def action_other(self) -> None:
        """To the other list."""
        left, right = self._lists
        target: Widget = left if right.has_focus else right
        target.focus()

    def action_difference(self, step: int = 1) -> None:
        """To the next example that is only here or moved far, or to the one before."""
        here = self._here
        line = here.side.next_difference(here.cursor, step) if here.side else None
        if line is None:
            self.notify("no further difference", markup=False)
        else:
            here.cursor = line

    def action_end(self) -> None:
        """The other end of both rankings."""
        self.reverse = not self.reverse

    def action_leave(self) -> None:
        """Back to the ranking."""
        self.app.pop_screen()


def _compared(left: Ranked, right: Ranked, reverse: bool) -> tuple[tuple[Side, Side], Agreement]:
    both = sides(left.listing(reverse), right.listing(reverse))
    return both, agreement(both[0])


def _title(ranked: Ranked, beside: Ranked) -> str:
    """What tells the ranking from the other one."""
    parts = [ranked.name]
    if ranked.run != beside.run:
        parts.append(ranked.run.name)
    if ranked.prompt_id != beside.prompt_id:
        answer = ranked.answer
        parts.append(f"{answer.prompt} → {answer.completion.strip()}")
    return " · ".join(clean(part, 60) for part in parts)


def _told(alike: Agreement) -> Content:
    """`rank correlation 0.43 over 1,425 examples · 3 of the first 10 in common · ≠ moved by …`."""
    correlation = "–" if alike.correlation is None else f"{alike.correlation:.2f}"
    return Content.assemble(
        ("rank correlation ", "$secondary"), (correlation, "bold"),
        (f" over {alike.common:,} examples · ", "$secondary"), (f"{alike.top_common}", "bold"),
        (f" of the first {TOP} in common · ≠ only here, or moved by more than {TOP}", "$secondary"),
    )  # fmt: skip
