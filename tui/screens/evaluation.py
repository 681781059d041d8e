"""Base against trained: metrics, answers, benchmarks; and experiments that test the rankings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.content import Content
from textual.reactive import reactive

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.files import expanded
from pipeline.contract.results.benchmarks import PUBLISHED_SCORES, load_benchmarks
from pipeline.contract.results.evaluation import load_evaluation
from pipeline.contract.results.validation import load_validation
from pipeline.contract.run.run_dir import RunDir
from tui.content.rows import Row
from tui.export import export_table, proposed, table_fault
from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.words import holds
from tui.screens.dialogs.confirm import TextDialog
from tui.screens.mixins.tabled import Pane, Tabled
from tui.screens.mixins.view import READING
from tui.screens.pages.evaluation_pages import AnswersPage, BenchmarksPage, MetricsPage, Page
from tui.screens.pages.validation_page import ValidationPage
from tui.widgets.banner import Banner
from tui.widgets.lines import Lines
from tui.widgets.page_bar import Leaf, PageBar

_PAGES = ("Metrics", "Answers", "Benchmarks", "Validation")


class EvaluationScreen(Tabled):
    """A table for every page."""

    SCOPE: ClassVar[Scope] = "evaluation"
    STAGES = ("evaluate", "benchmark", "validate")
    LOOKED_THROUGH = "a row"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("evaluation"), *bindings("results")]

    page: reactive[int] = reactive(0, init=False, repaint=False)
    against_expected: reactive[bool] = reactive(False, init=False, repaint=False)
    """Whether answers are compared with the expected one instead of with each other."""

    def __init__(self, run: RunDir, first: int = 0) -> None:
        """`first`: the page that is shown, where the run has results for it."""
        super().__init__()
        self._run = run
        self._first = first
        self._pages: dict[int, Page] = {}
        self._rows: dict[int, list[Row]] = {}
        self._without: dict[int, Exception] = {}
        """Why a page has nothing to show."""

    def pages(self) -> tuple[PageBar]:
        """All of them, with what they hold."""
        return (PageBar(),)

    def on_mount(self) -> None:
        """Reads what there is."""
        self._load()

    def renewed(self) -> EvaluationScreen:
        """The screen on the newer results."""
        return EvaluationScreen(self._run, self.page)

    @work(group=READING)
    async def _load(self) -> None:
        await asyncio.to_thread(self._read)
        pages = (self._first, *range(len(_PAGES)))
        first = next((page for page in pages if page in self._pages), 0)
        self.set_reactive(EvaluationScreen.page, first)
        self.query_one(PageBar).leaves = tuple(map(self._leaf, range(len(_PAGES))))
        self._show()
        self.greet()

    @property
    def has_hint(self) -> bool:
        """The hint tells what can be done with results."""
        return bool(self._pages)

    def _leaf(self, number: int) -> Leaf:
        page = self._pages.get(number)
        count = len(self._rows[number]) if page else None
        key = self.told(f"{{evaluation.part.{number}}}")
        return Leaf(key, _PAGES[number], count, stale=bool(page and page.stale))

    def _read(self) -> None:
        """Every page that the run has results for; why not, for the others."""
        run = self._run

        def answers() -> dict[int, Page]:
            loaded = load_evaluation(run)
            metrics, pairs = (
                str(path.relative_to(run.root))
                for path in (run.metric_comparison, run.answer_comparison)
            )
            return {
                0: MetricsPage(metrics, not loaded.fresh, loaded.value),
                1: AnswersPage(pairs, not loaded.fresh, loaded.value),
            }

        def benchmarks() -> dict[int, Page]:
            loaded = load_benchmarks(run)
            file = f"{loaded.value.folder}/{PUBLISHED_SCORES}"
            return {2: BenchmarksPage(file, not loaded.fresh, loaded.value)}

        def validation() -> dict[int, Page]:
            loaded, file = load_validation(run), run.summary("validate").relative_to(run.root)
            return {3: ValidationPage(str(file), not loaded.fresh, loaded.value)}

        self._try(answers, (0, 1))
        self._try(benchmarks, (2,))
        self._try(validation, (3,))
        self._rows = {number: list(page.rows()) for number, page in self._pages.items()}

    def _try(self, read: Callable[[], dict[int, Page]], pages: tuple[int, ...]) -> None:
        try:
            self._pages |= read()
        except HeadwaterError as error:
            self._without |= dict.fromkeys(pages, error)

    @property
    def _shown(self) -> Page | None:
        return self._pages.get(self.page)

    def watch_page(self) -> None:
        """Another page."""
        self.end_filter()
        self._show()

    def watch_words(self) -> None:
        """Another filter."""
        self._show()

    def watch_against_expected(self) -> None:
        """Other differences."""
        self.explain()

    def _show(self) -> None:
        page, table, rows = self._shown, self.filtered, self._rows.get(self.page, [])
        banner = self.query_one(Banner)
        banner.trail = (self._run.name, "evaluation", _PAGES[self.page].lower())
        stale = "≠ stale: the settings have changed since" if page and page.stale else ""
        banner.standing = (stale, "warn")
        self.query_one(PageBar).shown = self.page
        self.tell(self._without.get(self.page))
        table.display = page is not None
        if page and self.focused is None:
            table.focus()
        words = self.words
        kept = [row for row in rows if holds(row.text, words)] if words else rows
        table.empty = "no row holds these words" if self.words else "no rows"
        table.show(page.columns if page else (), kept)
        count = f"{len(kept):,} of {len(rows):,}" if self.words else f"{len(rows):,}"
        table.entitle(f"{_PAGES[self.page]} · {count}", clean(page.file, 100) if page else "")
        self.refresh_bindings()
        self.explain()

    def heading(self, row: Row) -> Content:
        """A few lines above the texts."""
        return self._shown.heading(row) if self._shown else Content()

    def panes(self, row: Row) -> Sequence[Pane]:
        """What the page says of a row."""
        return self._shown.panes(row, self.against_expected) if self._shown else ()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Answers have differences and origins, benchmarks have questions."""
        if action in ("differences", "ask", "trace"):
            return isinstance(self._shown, AnswersPage)
        return not (action in ("export", "filter") and self._shown is None)

    # Keys

    @on(Lines.Chosen, "#table")
    def _open(self) -> None:
        page, row = self._shown, self.filtered.selected
        if isinstance(page, BenchmarksPage) and row:
            from tui.screens.questions import QuestionsScreen

            self.app.push_screen(QuestionsScreen(self._run, page.benchmarks.folder, row.item))
        elif row:
            self.query_one("#first").focus()

    def action_part(self, page: int) -> None:
        """Another page."""
        self.page = page

    @on(PageBar.Turned)
    def _turn(self, event: PageBar.Turned) -> None:
        self.page = event.page

    def action_differences(self) -> None:
        """Compares the answers with the expected one, or with each other."""
        self.against_expected = not self.against_expected

    def action_ask(self) -> None:
        """Asks where the trained model's answer comes from, rather than the base model's."""
        from tui.screens.ask import AskScreen

        if row := self.filtered.selected:
            answer, base = row.item.trained.answer, row.item.base.answer
            other = base if base.strip() and base.strip() != answer.strip() else None
            self.app.push_screen(AskScreen(self._run, row.item.prompt, answer, other))

    def action_trace(self) -> None:
        """Lists the places where the trained model's answer is copied from."""
        from tui.screens.copies import CopiesScreen

        if row := self.filtered.selected:
            self.app.push_screen(CopiesScreen(self._run, row.item.prompt, row.item.trained.answer))

    def action_report(self) -> None:
        """Opens the report."""
        from tui.screens.report import ReportScreen

        self.app.push_screen(ReportScreen(self._run))

    @work
    async def action_export(self) -> None:
        """Writes the rows as they are shown into a file."""
        table, page = self.filtered, self._shown
        if page is None:
            return
        rows: tuple[Row, ...] = table.rows
        hint = "The rows as they are shown: a .csv or a .jsonl file."
        file = proposed(self._run, page.title.lower(), ".csv")
        fault = partial(table_fault, own=self._run.exports)
        path = await self.app.push_screen_wait(TextDialog("Export", file, fault, hint))
        if path is None:
            return
        try:
            await asyncio.to_thread(export_table, expanded(path), page.columns, rows)
        except OSError as error:
            self.notify(clean(str(error)), title="not written", severity="error", markup=False)
        else:
            message = f"{len(rows):,} rows are in {expanded(path).resolve()}"
            self.notify(clean(message), markup=False)
