"""Several runs side by side: settings, results, rankings for a prompt, curves, completions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from rich.cells import cell_len
from textual import on, work
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError, MissingResultError
from pipeline.contract.run.run_dir import RunDir
from tui.content.comparison_rows import (
    completions_table,
    in_full,
    rankings_table,
    results_table,
    settings_table,
)
from tui.content.ink import fit
from tui.content.rows import Column, Row
from tui.keys import KEY, Scope, bindings, keymap_of
from tui.readers.clean import clean
from tui.readers.comparison import cautions, results, settings_that_differ
from tui.readers.completions import COMPLETIONS, Completions, completions
from tui.readers.ranked_beside import TOP, CommonPrompt, RankingsBeside
from tui.readers.run_reader import RunReader, RunSnapshot
from tui.screens.mixins.curves import RunCurves
from tui.screens.mixins.view import READING, View
from tui.widgets.banner import Banner
from tui.widgets.chart import Chart
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.page_bar import Leaf, PageBar
from tui.widgets.table import Sheet, Table

_PAGES = ("Settings", "Results", "Rankings", "Curves", "Answers")
_SETTINGS, _RESULTS, _RANKINGS, _CURVES, _COMPLETIONS = range(len(_PAGES))
_NOTHING = {
    _SETTINGS: "no setting differs",
    _RESULTS: "no run has results that are up to date",
    _RANKINGS: "no prompt, with its completion, is traced by all of them",
    _COMPLETIONS: "no prompt with a completion is in all of them",
}
_OF_CHART = ("metric", "axis", "smooth", "log_scale", "zoom", "pan", "whole", "inspect")
_INTERVAL_S = 2.0

_Page = tuple[Sequence[Column], Sequence[Row]]


class CompareScreen(View[None], RunCurves):
    """A table for each page but that of the curves, which is a chart."""

    CSS_PATH: ClassVar[CSSPathType | None] = "tables.tcss"
    SCOPE: ClassVar[Scope] = "compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("compare"),
        *bindings("curves"),
        *bindings("chart"),
    ]

    page: reactive[int] = reactive(_SETTINGS, init=False, repaint=False)
    prompt: reactive[int] = reactive(0, init=False, repaint=False)
    """Which of the common prompts the rankings are for."""

    def __init__(self, looks: Mapping[RunDir, int]) -> None:
        """`looks`: the runs, and the number of the ink and the mark of each."""
        super().__init__()
        self._looks = dict(looks)
        self._readers = {run: RunReader(run) for run in looks}
        self._read: dict[RunDir, RunSnapshot] = {}
        self._tables: dict[int, _Page] = {}
        self._troubles: dict[int, str] = {}
        """Why a page cannot be shown."""
        self._rankings: RankingsBeside | None = None
        self._prompts: list[CommonPrompt] = []
        self._completions = Completions()
        self._cautions: list[str] = []
        self._ranked: tuple[CommonPrompt, str] | None = None
        """The prompt whose rankings are shown, and what is said of it."""

    def compose(self) -> ComposeResult:
        """One of the table and the chart, and below the table what its row says in full."""
        yield Banner()
        yield PageBar()
        yield Notice(id="notice")
        yield Static(id="heading")
        yield Sheet(id="table")
        yield Static(id="row")
        yield Chart(id="chart")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads what there is."""
        self.query_one(Banner).trail = ("compare", " · ".join(self._names))
        self._table.empty = "reading…"
        self._show()
        self._load()
        self._follow()

    @property
    def _names(self) -> list[str]:
        return [run.root.name for run in self._looks]

    @property
    def _table(self) -> Table:
        return self.query_one(Table)

    @work(group=READING)
    async def _load(self) -> None:
        await asyncio.to_thread(self._read_results)
        if self.page == _RANKINGS:  # somebody was quicker
            self._rank()
        self._show()

    def _read_results(self) -> None:
        """All pages but the curves; of the rankings, what can be shown."""
        runs, names = list(self._looks), self._names
        with self._complaining(_SETTINGS):
            self._tables[_SETTINGS] = settings_table(names, settings_that_differ(runs))
        with self._complaining(_RESULTS):
            self._tables[_RESULTS] = results_table(names, results(runs))
            self._cautions = cautions(runs)
        with self._complaining(_RANKINGS):
            self._rankings = RankingsBeside(runs)
            self._prompts = self._rankings.prompts()
        with self._complaining(_COMPLETIONS):
            self._completions = completions(runs)
            self._tables[_COMPLETIONS] = completions_table(names, self._completions)
            if missing := self._completions.missing:
                raise MissingResultError("\n".join(f"run {name}: {why}" for name, why in missing))

    @contextmanager
    def _complaining(self, page: int) -> Iterator[None]:
        """What cannot be read is told on its page."""
        try:
            yield
        except HeadwaterError as error:
            self._troubles[page] = str(error)

    @work(exclusive=True, group="rankings")
    async def _rank(self) -> None:
        """Reads the rankings for the prompt, unless another is wanted by then."""
        if self._rankings is None or not self._prompts:
            return
        prompt = self._prompts[self.prompt]
        try:
            found = await asyncio.to_thread(self._rankings.ranked, prompt)
        except HeadwaterError as error:
            self._tables.pop(_RANKINGS, None)
            self._troubles[_RANKINGS] = str(error)
        else:
            self._troubles.pop(_RANKINGS, None)
            self._tables[_RANKINGS] = rankings_table(self._names, found)
            methods = " · ".join(dict.fromkeys(map(clean, found.methods)))
            place = f"prompt {self._prompts.index(prompt) + 1:,} of {len(self._prompts):,}"
            shared = f"{found.shared} of the first 10 in all of them"
            self._ranked = (prompt, f"{place} · {methods} · {shared}")
        self._show()

    @work
    async def _follow(self) -> None:
        """Reads the curves again and again, in part where they are long."""
        while True:
            if self.is_watched:
                for run, reader in self._readers.items():
                    self._read[run] = await asyncio.to_thread(reader.read)
                if self.page == _CURVES:
                    self._draw()
            in_part = any(snapshot.read_share < 1 for snapshot in self._read.values())
            await asyncio.sleep(0.0 if in_part else _INTERVAL_S)

    def _snapshots(self) -> Sequence[tuple[RunSnapshot, int]]:
        return [(self._read[run], look) for run, look in self._looks.items() if run in self._read]

    def _draw(self) -> None:
        self.draw_runs(f"{len(self._looks)} runs")

    # What is shown

    def watch_page(self) -> None:
        """Another page."""
        if self.page == _RANKINGS and _RANKINGS not in self._tables:
            self._rank()
        self._show()

    def watch_prompt(self) -> None:
        """Another prompt."""
        self._rank()

    def _show(self) -> None:
        table, trouble = self._table, self._troubles.get(self.page, "")
        self.query_one(PageBar).leaves = tuple(map(self._leaf, range(len(_PAGES))))
        self.query_one(PageBar).shown = self.page
        notice = self.query_one(Notice)
        notice.warning = "\n".join(self._cautions) if self.page == _RESULTS else ""
        notice.trouble = trouble
        self.chart.display = self.page == _CURVES
        table.display = not (self.chart.display or trouble)
        if self.chart.display:
            self._draw()
        elif table.display:
            self._fill(table)
        if self.page == _CURVES:
            self.set_focus(None)
        elif table.display and self.focused is None:
            table.focus()
        self.refresh_bindings()
        self.explain()

    def _fill(self, table: Table) -> None:
        columns, rows = self._tables.get(self.page, ((), ()))
        is_read = self.page in self._tables or (self.page == _RANKINGS and self._rankings)
        waits = self.page == _RANKINGS and self._prompts and not rows
        table.empty = _NOTHING[self.page] if is_read and not waits else "reading…"
        table.show(columns, rows)
        table.entitle(f"{_PAGES[self.page]} · {len(rows):,}")

    def _leaf(self, number: int) -> Leaf:
        key = KEY[f"compare.part.{number}"].first(keymap_of(self.app))
        if number == _CURVES:
            count: int | None = len(self._looks)
        elif number == _RANKINGS:
            count = len(self._prompts) or None
        elif number == _COMPLETIONS:
            count = len(self._completions.rows) or None
        else:
            count = len(self._tables[number][1]) if number in self._tables else None
        stale = number == _RANKINGS and self._rankings is not None and any(self._rankings.stale)
        return Leaf(key, _PAGES[number], count, stale=stale)

    @on(Lines.Moved, "#table")
    def explain(self) -> None:
        """Tells of the row under the cursor what has no room in it."""
        heading, below = self.query_one("#heading", Static), self.query_one("#row", Static)
        heading.display = self.page == _RANKINGS and self._ranked is not None
        if self.page == _COMPLETIONS and self._completions.others:
            heading.display = True
            found = self._completions
            fared = f"{COMPLETIONS}\nof {found.others_name} {found.others_told()}"
            heading.update(Content.styled(fared, "$secondary"))
        elif self._ranked is not None:
            prompt, said = self._ranked
            text = f"{clean(prompt.prompt, 160)} → {clean(prompt.completion.strip(), 80)}"
            first = f"{self._names[0]}: ↑↓ moved, + not in its first {TOP}, · not in all others'"
            notes = f"{said} · beside {first}{self._stale}"
            heading.update(Content.assemble((text, "bold"), "\n", (notes, "$secondary")))
        row = self._table.selected if self._table.display else None
        below.display = row is not None
        if row is not None:
            told = [(clean(name), clean(text)) for name, text in in_full(self._names, row)]
            longest = max((cell_len(name) for name, _ in told), default=0)
            lines = (Content.assemble((fit(name, longest + 2), "$secondary"), text)
                     for name, text in told)  # fmt: skip
            below.update(Content("\n").join(lines))

    @property
    def _stale(self) -> str:
        """Whose rankings are of other settings than those that hold now."""
        stale = self._rankings.stale if self._rankings else []
        names = [name for name, is_stale in zip(self._names, stale, strict=False) if is_stale]
        return f" · ≠ stale: {', '.join(names)}" if names else ""

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Curves have the keys of a chart, rankings have prompts."""
        if action in _OF_CHART:
            return self.page == _CURVES
        return action != "prompt" or (self.page == _RANKINGS and len(self._prompts) > 1)

    def action_part(self, page: int) -> None:
        """Another page."""
        self.page = page

    @on(PageBar.Turned)
    def _turn(self, event: PageBar.Turned) -> None:
        self.page = event.page

    def action_prompt(self, step: int) -> None:
        """The rankings for the next prompt that all runs trace, or for the one before."""
        if self._prompts:
            self.prompt = (self.prompt + step) % len(self._prompts)

    def action_leave(self) -> None:
        """Back to the runs."""
        self.app.pop_screen()
