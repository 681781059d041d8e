"""Every run, how it stands, and the losses of several in one chart.

What a key leads to is imported when it is pressed: the first paint is quicker so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import ScreenResume
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.archive import archive, archive_of, delete, restore
from pipeline.contract.run.run_dir import RunDir, run_path
from pipeline.contract.units import size
from tui.keys import Scope, bindings
from tui.person.user import User
from tui.readers.clean import clean
from tui.readers.hardware import MachineReader
from tui.readers.run_filter import EVERYTHING, EXAMPLE, FIELDS, FilterError, parse
from tui.readers.run_reader import RunSnapshot
from tui.readers.runs import RunRow, RunsReader, arrange, known_columns
from tui.screens.dialogs.confirm import ConfirmDialog, TextDialog
from tui.screens.mixins.ahead import AHEAD_S, SCREENS, import_ahead
from tui.screens.mixins.curves import RunCurves
from tui.screens.mixins.filtering import Filtering
from tui.screens.mixins.making_runs import MakingRuns
from tui.screens.mixins.view import FIRST_LOOK_S
from tui.screens.run import RunScreen
from tui.widgets.banner import Banner
from tui.widgets.chart import Chart
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.run_list import RunList, look_of

_INTERVAL_S = 2.0
_ON_RUNS = ("sort", "reverse", "pin", "chart", "metric", "compare", "clone", "archive",
            "delete", "settings", "remarks")  # fmt: skip
"""What cannot be done without any run."""
_NO_RUNS = "no runs yet: {list.choose} starts the demo, {runs.new} makes one of your own text"
_NONE_AWAY = "no run was put away; {runs.shelf} shows the others again"
_NONE_FOUND = "no run is as the filter says"


class RunsScreen(MakingRuns, RunCurves, Filtering):
    """The list of runs, and of those that were put away."""

    SCOPE: ClassVar[Scope] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("runs"),
        *bindings("curves"),
        *bindings("chart"),
    ]

    away: reactive[bool] = reactive(False, init=False)
    """Whether the runs that were put away are shown instead."""

    def __init__(
        self, runs: Path, machine: MachineReader, user: User, come_from: Path | None = None
    ) -> None:
        super().__init__()
        self._runs, self._machine, self._user = runs, machine, user
        self._readers = {False: RunsReader(runs), True: RunsReader(archive_of(runs))}
        self._found: list[RunRow] = []
        self._is_empty = False
        """Whether it is known that there are no runs."""
        self._kept = EVERYTHING
        self._come_from = come_from
        """The run that the cursor goes to when it is in the list."""
        self._left: dict[bool, tuple[Path | None, dict[Path, int]]] = {}
        """Where the cursor was and what was marked in either list."""

    def compose(self) -> ComposeResult:
        """The list, what is wrong with the run under its cursor, and the chart."""
        yield Banner()
        yield RunList(id="runs")
        yield self.filter_entry(f"{EXAMPLE} · fields: {', '.join(FIELDS)}")
        fault = Static(id="filter-fault")
        fault.display = False
        yield fault
        yield Notice(id="notice")
        yield Chart(id="chart")
        yield KeyBar()

    def on_mount(self) -> None:
        """Starts to follow the runs."""
        self.query_one(Banner).trail = (str(self._runs),)
        self.list.pinned = self._user.pins(self._runs)
        self.is_reading = True
        self.set_timer(FIRST_LOOK_S, self._follow)
        self.set_timer(AHEAD_S, self._import_ahead)

    @work
    async def _import_ahead(self) -> None:
        await import_ahead(self.app, SCREENS)

    @property
    def list(self) -> RunList:
        """The runs."""
        return self.query_one(RunList)

    filtered = list

    @work
    async def _follow(self) -> None:
        while True:
            if self.is_watched or not self.list.empty:
                await self._look()
                self.end_reading()
            await asyncio.sleep(0.0 if self._readers[self.away].unread else _INTERVAL_S)

    async def _look(self) -> None:
        away, had_hint = self.away, self.has_hint
        rows = await asyncio.to_thread(self._readers[away].read)
        if away == self.away:
            self._found = rows
            if self._is_empty != (not rows):
                self._is_empty = not rows
                self.refresh_bindings()
            self.list.known = known_columns(rows)
            self._show()
            if not had_hint and self.is_current:
                self.greet()

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Looks at once where a person comes back: what they have begun is in the list."""
        if self.list.empty:  # else the first look is still to come
            self.run_worker(self._look())

    @property
    def has_hint(self) -> bool:
        """The hint tells what can be done with a run."""
        return bool(self._found)

    def watch_words(self) -> None:
        """Another filter; while it cannot be read, the one before holds, and beside it stands why
        not."""
        try:
            self._kept, self.filter_fault = parse(self.words), ""
        except FilterError as error:
            self.filter_fault = error.message
        told = self.query_one("#filter-fault", Static)
        told.update(Content.styled(clean(f"✗ {self.filter_fault}"), "$error"))
        told.display = bool(self.filter_fault)
        self._show()

    def watch_away(self, before: bool, away: bool) -> None:
        """The other list, as it was left."""
        row = self.list.selected
        self._left[before] = (row.run.root if row else None, self.list.marked)
        self._come_from, marked = self._left.get(away, (None, {}))
        self.query_one(Banner).trail = (str(self._runs), *["put away"] * self.away)
        self.list.marked = marked
        self._found = []
        self._show()
        self.refresh_bindings()
        self.run_worker(self._look())

    def _show(self) -> None:
        runs = self.list
        shown = arrange(self._found, self._kept, runs.column, runs.reverse, runs.pinned)
        nothing = _NONE_FOUND if self.words else _NONE_AWAY if self.away else _NO_RUNS
        runs.rows, runs.empty = tuple(shown), self.told(nothing)
        self._go_back()
        matches = f"{len(shown):,} of {len(self._found):,} with “{clean(self.words, 30)}”"
        title = "Put away" if self.away else "Runs"
        unread = self._readers[self.away].unread
        more = f" · {unread:,} still to be read" if unread else ""
        runs.entitle(f"{title} · {matches if self.words else f'{len(shown):,}'}{more}")
        self._explain()
        self._draw()

    def _go_back(self) -> None:
        """Puts the cursor on the run that the person came from, once that is in the list."""
        roots = [row.run.root for row in self.list.rows]
        if self._come_from in roots:
            self.list.cursor = roots.index(self._come_from)
            self._come_from = None

    @on(Lines.Moved, "#runs")
    def _moved(self) -> None:
        self._explain()
        self._draw()

    @on(RunList.Marked)
    def _marked(self) -> None:
        self.chart.display = True
        self._draw()

    def _explain(self) -> None:
        """Says what is wrong with a run that cannot be read."""
        row = self.list.selected
        self.query_one(Notice).trouble = row.snapshot.trouble if row else ""

    def _snapshots(self) -> Sequence[tuple[RunSnapshot, int]]:
        """The marked runs, or the one under the cursor."""
        marked = self.list.marked
        found = [
            (row.snapshot, marked[row.run.root]) for row in self._found if row.run.root in marked
        ]
        if not found and (row := self.list.selected):
            found = [(row.snapshot, look_of(row.name, set()) or 0)]
        return found

    def _draw(self) -> None:
        """A metric of the marked runs, or of the one under the cursor."""
        count = sum(row.run.root in self.list.marked for row in self._found)
        compares = " · {runs.compare} compares" if count > 1 else ""
        self.draw_runs(self.told(f"{count:,} marked{compares}" if count else "{marks.mark} marks"))

    @on(Lines.Chosen, "#runs")
    def _open(self) -> None:
        if row := self.list.selected:
            self.show_run(row.run)

    @on(RunList.NoneChosen)
    def _begin(self) -> None:
        if not (self.away or self.is_filtering):
            self.start_demo()

    def show_run(self, run: RunDir) -> None:
        """Opens a run; the cursor will be on it when the person comes back."""
        self._come_from = run.root
        self.app.push_screen(RunScreen(run, self._machine))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Runs that were put away are only brought back or deleted; there is nothing behind the
        list of the others; without runs, one can only be made."""
        if action == "leave":
            return self.away or self.is_filtering
        if action in _ON_RUNS and self._is_empty:
            return False
        return not (self.away and action in ("clone", "new", "settings", "pin", "remarks"))

    def action_leave(self) -> None:
        """Ends the filter, or comes back from the archive."""
        if not self.end_filter():
            self.away = False

    def action_sort(self) -> None:
        """Sorts by the next of the columns that are shown."""
        shown, column = self.list.columns, self.list.column
        position = shown.index(column) if column in shown else -1
        self.list.column = shown[(position + 1) % len(shown)]
        self._show()

    def action_reverse(self) -> None:
        """Turns the order around."""
        self.list.reverse = not self.list.reverse
        self._show()

    def action_pin(self) -> None:
        """Keeps the run at the top, or lets it go."""
        if row := self.list.selected:
            try:
                self._user.pin(self._runs, row.name)
            except HeadwaterError as error:
                self.complain(error)
            self.list.pinned = self._user.pins(self._runs)
            self._show()

    def action_chart(self) -> None:
        """Shows or hides the chart."""
        self.chart.display = not self.chart.display

    def action_settings(self) -> None:
        """Opens the settings of the run."""
        if row := self.list.selected:
            from tui.screens.settings import SettingsScreen

            self.app.push_screen(SettingsScreen(row.run))

    @work
    async def action_remarks(self) -> None:
        """Edits the tags of the run and the note on it."""
        row = self.list.selected
        if row is None:
            return
        from pipeline.contract.run.remarks import read_remarks, write_remarks
        from tui.screens.dialogs.remarks_form import RemarksForm

        try:
            before = await asyncio.to_thread(read_remarks, row.run)
        except HeadwaterError as error:
            self.complain(error)
            return
        written = await self.app.push_screen_wait(RemarksForm(row.name, before))
        if written is not None and written != before:
            kept = f"tags and note of {row.name} are saved"
            await self._change(lambda: write_remarks(row.run, written), kept)

    def action_compare(self) -> None:
        """Puts the marked runs side by side."""
        there = {row.run.root: row.run for row in self._found}
        marked = self.list.marked  # in the order in which they were: the first is compared with
        looks = {there[root]: look for root, look in marked.items() if root in there}
        if len(looks) < 2:
            advice = "mark two runs or more, with {marks.mark}; then {runs.compare} compares them"
            self.notify(clean(self.told(advice)), markup=False)
            return
        from tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(looks))

    def action_shelf(self) -> None:
        """Shows the runs that were put away, or the others."""
        self.away = not self.away

    @work
    async def action_clone(self) -> None:
        """Makes a new run with the settings of this one."""
        row = self.list.selected
        if row is None:
            self.action_new()
            return
        hint = "Its settings and prompts are copied; nothing has run in it yet."
        ask = TextDialog(f"Clone {row.run.name}", f"{row.run.name}-2", self.name_fault, hint)
        if name := await self.app.push_screen_wait(ask):
            from pipeline.contract.run.new_run import clone_run

            target = run_path(self._runs, name)
            await self._change(lambda: clone_run(row.run, target), f"{name} is ready to be run")

    @work
    async def action_archive(self) -> None:
        """Puts the run away, or brings it back."""
        row = self.list.selected
        if row is None:
            return
        name = row.run.name
        if self.away:
            await self._change(lambda: restore(row.run), f"{name} is among the runs again")
            return
        text = self.told("It is kept: {runs.shelf} shows it, {runs.archive} there brings it back.")
        question = ConfirmDialog(f"Put {name} away?", text, "put it away", "leave it")
        if await self.app.push_screen_wait(question):
            outcome = self.told("was put away; {runs.shelf} shows it")
            await self._change(lambda: archive(row.run), f"{name} {outcome}")

    @work
    async def action_delete(self) -> None:
        """Deletes the run, if a person insists."""
        row = self.list.selected
        if row is None:
            return
        weight = f", {size(row.size)}" if row.size is not None else ""
        advice = "" if self.away else self.told(" {runs.archive} puts it away instead.")
        text = f"{row.run.root}{weight}\n\nEverything in it is gone then.{advice}"
        question = ConfirmDialog(f"Delete {row.run.name}?", text, "delete it for good", "keep it")
        if await self.app.push_screen_wait(question):
            await self._change(lambda: delete(row.run), f"{row.run.name} is deleted")

    async def _change(self, change: Callable[[], RunDir | None], outcome: str) -> None:
        """Does something to a run's folder; says what came of it."""
        try:
            await asyncio.to_thread(change)
        except HeadwaterError as error:
            self.complain(error)
        else:
            self.notify(clean(outcome), markup=False)
        await self._look()
