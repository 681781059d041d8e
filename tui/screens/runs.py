"""Every run, and how it stands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Footer

from tui.keys import Scope, bindings
from tui.readers.runs import RunsReader
from tui.screens.base import View
from tui.screens.run import RunScreen
from tui.widgets.banner import Banner
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.run_list import RunList

_INTERVAL_S = 2.0
_NO_RUNS = "no runs yet: `headwater demo` makes one, `headwater init` writes settings"


class RunsScreen(View[None]):
    """The list of runs."""

    SCOPE: ClassVar[Scope] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")

    def __init__(self, runs: Path) -> None:
        super().__init__()
        self._runs = runs
        self._reader = RunsReader(runs)

    def compose(self) -> ComposeResult:
        """The list, and what is wrong with the run under its cursor."""
        yield Banner()
        yield RunList(id="runs")
        yield Notice(id="notice")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Starts to follow the runs."""
        self.query_one(Banner).trail = (str(self._runs),)
        self._follow()

    @work
    async def _follow(self) -> None:
        rows = self.query_one(RunList)
        while True:
            if self.is_current or not rows.empty:
                found = await asyncio.to_thread(self._reader.read)
                with self.unless_closed():
                    rows.rows, rows.empty = tuple(found), _NO_RUNS
                    self._explain()
            await asyncio.sleep(_INTERVAL_S)

    @on(Lines.Moved)
    def _explain(self) -> None:
        """Says what is wrong with a run that cannot be read."""
        row = self.query_one(RunList).selected
        self.query_one(Notice).trouble = row.snapshot.trouble if row else ""

    @on(Lines.Chosen)
    def _open(self) -> None:
        if row := self.query_one(RunList).selected:
            self.app.push_screen(RunScreen(row.run))
