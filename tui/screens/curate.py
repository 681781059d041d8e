"""Training data sorted by their influence on a prompt or a set: what would go, and why.

The sorting is done by a process; leaving ends it. Other keys wait for what it finds.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.curation import Curation, CurationPreview, CurationRequest
from pipeline.contract.run.run_dir import RunDir, run_path
from tui.content.curation_rows import amount_told, choice_told, preview_table
from tui.keys import Scope, bindings
from tui.readers.clean import clean, clean_lines
from tui.screens.dialogs.confirm import TextDialog
from tui.screens.dialogs.curation_form import CurationForm, Places
from tui.screens.mixins.picking import Picking
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.table import Sheet, Table

if TYPE_CHECKING:
    from tui.commands import CommandedApp
    from tui.processes.curator import Curator

FIRST = 5
"""Rows that go before a person says how many."""
_AMOUNT = "A number of rows that go, as 40; or the share of all rows that stays, as 30%."
_READY = "{run.run_all} trains on what stays; {run.compare} then puts it beside the run before"


class CurateScreen(View[None], Picking):
    """A table of the rows that would go; below it why the one under the cursor does."""

    SCOPE: ClassVar[Scope] = "curate"
    CSS_PATH: ClassVar[CSSPathType | None] = "tables.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("curate")

    def __init__(self, run: RunDir, request: CurationRequest) -> None:
        super().__init__()
        self._run, self._request = run, request
        self._found: CurationPreview | None = None
        self._curator: Curator | None = None
        self._writes = False

    def compose(self) -> ComposeResult:
        """What is chosen, the rows, and one of them in full."""
        yield Banner()
        yield Notice(id="notice")
        yield Static(id="heading")
        yield Sheet(id="table")
        yield Static(id="row")
        yield KeyBar()

    def on_mount(self) -> None:
        """Has the data sorted."""
        self.query_one(Banner).trail = (self._run.name, "curate")
        self._table.entitle("Rows that go")
        self._table.focus()
        self._sort(self._request)

    def on_unmount(self) -> None:
        """Nobody waits for it any more."""
        self._stop()

    @property
    def _table(self) -> Table:
        return self.query_one(Table)

    def _new_curator(self) -> Curator:
        """A process in place of the one that may be at work."""
        from tui.processes.curator import Curator

        self._stop()
        self._curator = Curator()
        return self._curator

    def _stop(self) -> None:
        if self._curator is not None:
            self._curator.stop()

    def _sort(self, request: CurationRequest) -> None:
        """Shows what would go by a request; the one before stays where that is impossible."""
        self.query_one(Banner).progress = "sorting…"
        self.is_reading = True
        self._preview(request)

    @work(exclusive=True, group="sorting")
    async def _preview(self, request: CurationRequest) -> None:
        curator, failed = self._new_curator(), None
        try:
            self._found = await asyncio.to_thread(curator.preview, request)
            self._request = request
        except HeadwaterError as error:
            failed = error
        if self._found is not None and failed is not None:
            self.complain(failed)  # and what was chosen before still holds
        else:
            self.query_one(Notice).tell(failed)
        self.query_one(Banner).progress = ""
        self._show()
        self.end_reading()

    def _show(self) -> None:
        found, table = self._found, self._table
        heading = self.query_one("#heading", Static)
        table.display = heading.display = found is not None
        if found is None:
            return
        told = [clean(self.told(line), 400) for line in choice_told(self._request, found)]
        lines = [Content.styled(amount_told(found), "bold"), *map(Content, told)]
        heading.update(Content("\n").join(lines))
        table.show(*preview_table(found))
        part = f"the first {len(found.rows):,} of " if len(found.rows) < found.dropped else ""
        table.entitle(f"Rows that go · {part}{found.dropped:,}")
        self._explain()
        self.refresh_bindings()

    @on(Lines.Moved, "#table")
    def _explain(self) -> None:
        """Why the row goes, and what it says."""
        row = self._table.selected
        text = Content()
        if row is not None:
            text = Content.assemble(
                (f"{clean(row.item.example, 120)} · ", "bold"),
                (clean(row.item.because, 300), "$secondary"),
                "\n",
                clean_lines(row.item.text),
            )
        self.query_one("#row", Static).update(text)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What changes a choice needs one that works, and that is not being written."""
        may_change = self._found is not None and not self._writes
        return may_change or action not in ("amount", "method", "alike", "save")

    @work
    async def action_amount(self) -> None:
        """Asks how many rows go, or what share stays."""
        ask = TextDialog("How much?", _written(self._request), _amount_fault, _AMOUNT)
        given = await self.app.push_screen_wait(ask)
        if given is not None:
            drop, keep = _amount(given)
            self._sort(replace(self._request, drop=drop, keep=keep))

    def action_method(self) -> None:
        """Ranks by another method."""
        if self._found:
            self.pick(
                self._found.methods,
                self._found.method,
                lambda name: self._sort(replace(self._request, method=name)),
            )

    def action_alike(self) -> None:
        """Drops near-duplicates too, or keeps them."""
        self._sort(replace(self._request, near_duplicates=not self._request.near_duplicates))

    @work
    async def action_save(self) -> None:
        """Writes both parts where a person wants them, and makes a run on what stays."""
        form = CurationForm(self._new_folder(), self._new_name(), self._name_fault)
        places: Places | None = await self.app.push_screen_wait(form)
        if places is None:
            return
        self._writes = True
        try:
            made = await self._make(places)
        except HeadwaterError as error:
            self.complain(error)
            return
        finally:
            self._writes = False
            self.query_one(Banner).progress = ""
        told = f"{made.dropped:,} rows go, {made.kept:,} are kept, in {made.out}"
        if places.clone:
            cast("CommandedApp", self.app).open_run(self._run_called(places.clone))
            told = f"{told}\n{self.told(_READY)}"
        self.app.notify(clean_lines(told), title="Written", timeout=12, markup=False)

    async def _make(self, places: Places) -> Curation:
        """Raises HeadwaterError where the folder or the run cannot be made."""
        from pipeline.contract.run.new_run import clone_onto, refuse_clone_onto

        if places.clone:  # before any work
            target = self._run_called(places.clone)
            await asyncio.to_thread(refuse_clone_onto, self._run, target)
        self.query_one(Banner).progress = "writing…"
        request = replace(self._request, out=str(places.folder.absolute()))
        made = await asyncio.to_thread(self._new_curator().make, request, self._heard)
        if places.clone:
            files = made.kept_file, made.held_out_file
            await asyncio.to_thread(clone_onto, self._run, target, *files)
        return made

    def _heard(self, rows: int) -> None:
        self.app.call_from_thread(self._tell, f"writing: {rows:,} rows read")

    def _tell(self, progress: str) -> None:
        for banner in self.query(Banner):
            banner.progress = progress

    def _run_called(self, name: str) -> RunDir:
        return run_path(self._run.root.resolve().parent, name)

    def _name_fault(self, name: str) -> str:
        try:
            taken = os.path.lexists(self._run_called(name).root)
        except HeadwaterError as error:
            return error.message
        return f"there is a run {name!r} already" if taken else ""

    def _new_name(self) -> str:
        return next(name for name in _numbered(self._run.name) if not self._name_fault(name))

    def _new_folder(self) -> str:
        names = chain([f"{self._run.name}-kept"], _numbered(f"{self._run.name}-kept"))
        return next(name for name in names if not os.path.lexists(Path(name)))

    def action_leave(self) -> None:
        """Back to what the data were sorted by; what is being written is taken away."""
        self.app.pop_screen()


def _numbered(name: str) -> Iterator[str]:
    """`demo-2`, `demo-3` …: after `demo-2` comes `demo-3`."""
    stem = re.sub(r"-\d+$", "", name)
    return (f"{stem}-{number}" for number in count(2))


def _written(request: CurationRequest) -> str:
    return f"{100 * request.keep:g}%" if request.keep is not None else str(request.drop)


def _amount(text: str) -> tuple[int | None, float | None]:
    """How many rows go, or the share that stays.

    Raises:
        ValueError: it is neither.
    """
    text = text.strip()
    if not text.endswith("%"):
        if (rows := int(text)) < 1:
            raise ValueError("no rows")
        return rows, None
    if not 0 < (share := float(text[:-1]) / 100) < 1:
        raise ValueError("not a share")
    return None, share


def _amount_fault(text: str) -> str:
    try:
        _amount(text)
    except ValueError:
        return "a number of rows from 1 on, or a share between 0% and 100%"
    return ""
