"""The report of a run, section by section: to lay out a long one whole would take a minute."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.files import expanded, replacing
from pipeline.contract.run.run_dir import RunDir
from tui.export import path_fault, proposed
from tui.keys import Scope, bindings
from tui.processes.browser import open_page
from tui.readers.clean import clean
from tui.readers.report import Picture, Report, Section, blocks, read_report
from tui.readers.report_figures import Figure, read_figures
from tui.readers.words import holds
from tui.screens.dialogs.confirm import TextDialog
from tui.screens.mixins.filtering import Filtering
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.view import READING, View
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.report_page import ReportPage
from tui.widgets.section_list import SectionList


class ReportScreen(View[None], Filtering, Renewing):
    """Contents on the left, the section under the cursor on the right."""

    SCOPE: ClassVar[Scope] = "report"
    STAGES = ("report",)
    CSS_PATH = "tables.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("report"), *bindings("results")]

    def __init__(self, run: RunDir, section: str = "") -> None:
        """`section`: the title of the one that is shown first."""
        super().__init__()
        self._run, self._first = run, section
        self._report: Report | None = None
        self._figures: dict[str, tuple[Figure, ...]] = {}
        self._laying_out = asyncio.Lock()
        self._laid_out: tuple[Section | None, int] = (None, 0)

    def compose(self) -> ComposeResult:
        """The panes."""
        yield Banner()
        yield Notice(id="notice")
        with Horizontal(id="report"):
            yield SectionList(id="sections")
            yield ReportPage(id="page")
        yield self.filter_entry("words that a section holds")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads the report."""
        self.query_one(Banner).trail = (self._run.name, "report")
        self._load()

    @property
    def filtered(self) -> SectionList:
        """The contents."""
        return self.query_one(SectionList)

    def renewed(self) -> ReportScreen:
        """The screen on the newer results."""
        section = self.filtered.selected
        return ReportScreen(self._run, section.title if section else "")

    @work(group=READING)
    async def _load(self) -> None:
        report, failed = None, None
        try:
            report = await asyncio.to_thread(read_report, self._run)
        except HeadwaterError as error:
            failed = error
        self.tell(failed, "the report")
        self.query_one("#report").display = report is not None
        self._report = report
        if report:
            stale = "≠ stale: results have changed since" if report.stale else ""
            self.query_one(Banner).standing = (stale, "warn")
            self.filtered.focus()
            self.watch_words()
            titles = [section.title for section in report.sections]
            self.filtered.cursor = titles.index(self._first) if self._first in titles else 0
        self.refresh_bindings()

    def watch_words(self) -> None:
        """Another filter."""
        if self._report is None:
            return
        rows, words = self.filtered, self.words
        rows.empty = "no section holds these words"
        rows.sections = tuple(s for s in self._report.sections if holds(s.markdown, words))
        rows.entitle(f"Contents · {len(rows.sections):,}")
        self._show()

    @on(Lines.Moved, "#sections")
    def _moved(self) -> None:
        self._show()

    @work
    async def _show(self) -> None:
        """Lays the section out, unless a newer choice has done so; one after the other, because
        Textual ends the program where widgets are exchanged by a worker that is cancelled."""
        async with self._laying_out:
            section, page = self.filtered.selected, self.query_one(ReportPage)
            if (wanted := (section, page.size.width)) == self._laid_out:
                return
            path, room = clean(str(self._run.report_markdown)), page.size.width - 2
            page.border_subtitle = Content(path if len(path) <= room else f"…{path[1 - room :]}")
            shown = tuple(blocks(section.markdown)) if section else ()
            pictures = [block.path for block in shown if isinstance(block, Picture)]
            await page.show(shown, await asyncio.to_thread(self._read_figures, pictures))
            self._laid_out = wanted
            self.refresh_bindings()

    def _read_figures(self, paths: list[str]) -> dict[str, tuple[Figure, ...]]:
        """What pictures show; what was read once is kept, since a long training takes seconds."""
        new = {path: read_figures(self._run, path) for path in paths if path not in self._figures}
        self._figures |= new
        return self._figures

    @work
    async def action_view(self) -> None:
        """Shows the next columns of the tables that are too wide."""
        async with self._laying_out:
            await self.query_one(ReportPage).turn()

    def on_resize(self) -> None:
        """Other tables have room now."""
        if self._report:
            self._show()

    @on(Lines.Chosen, "#sections")
    def _read(self) -> None:
        """Into the text, to scroll it; on a narrow screen it has all of the room then."""
        self.add_class("-in")
        self.query_one("#page").focus()
        self.call_after_refresh(self._show)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a report there is nothing to open; nor are there other columns of tables that
        fit."""
        if action == "view":
            return self._report is not None and self.query_one(ReportPage).is_cut
        return self._report is not None or action not in ("open", "export", "filter")

    @work
    async def action_open(self) -> None:
        """Opens the page in a browser of this machine, where there is one."""
        path = self._run.report_html.resolve()
        opened = await asyncio.to_thread(open_page, path)
        outcome = "opened" if opened else "no browser here"
        self.notify(f"{outcome}: {clean(str(path))}", markup=False)

    @work
    async def action_export(self) -> None:
        """Copies the report: the ending says in which form."""
        hint = "A name ending in .html copies the page with its pictures in it; .md the Markdown."
        file = proposed(self._run, "report", ".html")
        fault = partial(_fault, own=self._run.exports)
        path = await self.app.push_screen_wait(TextDialog("Export the report", file, fault, hint))
        if path is None:
            return
        target = expanded(path.strip())
        run = self._run
        source = run.report_html if target.suffix == ".html" else run.report_markdown
        try:
            await asyncio.to_thread(_copy, source, target)
        except OSError as error:
            self.notify(clean(str(error)), title="not written", severity="error", markup=False)
        else:
            self.notify(f"written: {clean(str(target.resolve()))}", markup=False)

    def action_leave(self) -> None:
        """Back to the contents, to all of them, to the screen before."""
        if self.query_one("#page").has_focus:
            self.remove_class("-in")
            self.filtered.focus()
            self.call_after_refresh(self._show)
        elif not self.end_filter():
            self.app.pop_screen()


def _fault(text: str, own: Path) -> str:
    right = text.strip().endswith((".html", ".md"))
    return path_fault(text, own) or ("" if right else "ends in .html or .md")


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
