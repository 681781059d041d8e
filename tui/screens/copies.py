"""What of an answer stands word for word in the training data, and every place of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.content import Content

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.examples import read_text_at
from pipeline.contract.results.spans import Place, TextTrace, TracedSpan, read_span_index
from pipeline.contract.run.run_dir import RunDir
from tui.content.origin_text import COPIED, marked
from tui.content.rows import Cell, Column, Row
from tui.keys import Scope, bindings
from tui.processes.tracer import trace_answer
from tui.readers.clean import clean, clean_lines
from tui.readers.words import holds
from tui.screens.mixins.tabled import Pane, Tabled
from tui.screens.mixins.view import READING
from tui.widgets.banner import Banner
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice

_CUT = 200_000
_INDEXING = "indexing the training data: once for a run, seconds to minutes …"


class CopiesScreen(Tabled):
    """A line for each place of a copy; below it the example that it stands in."""

    SCOPE: ClassVar[Scope] = "copies"
    STAGES = ("prepare",)
    LOOKED_THROUGH = "a copy or an example's id"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("copies"), *bindings("results")]

    def __init__(self, run: RunDir, prompt: str, answer: str) -> None:
        super().__init__()
        self._run, self._asked = run, (prompt, answer)
        self._trace: TextTrace | None = None
        self._rows: list[Row] = []

    def on_mount(self) -> None:
        """Has the answer traced."""
        self.query_one(Banner).trail = (self._run.name, "word for word")
        self.filtered.entitle("Places")
        self.explain()
        self._load()

    def renewed(self) -> CopiesScreen:
        """The screen on the training data of now."""
        return CopiesScreen(self._run, *self._asked)

    @work(group=READING)
    async def _load(self) -> None:
        failed: HeadwaterError | None = None
        if await asyncio.to_thread(read_span_index, self._run.verbatim(self._run.examples)) is None:
            self.filtered.empty = _INDEXING
        try:
            self._trace = await asyncio.to_thread(trace_answer, self._run, *self._asked)
            self._rows = await asyncio.to_thread(lambda: list(_rows(self._run, self._trace)))
        except HeadwaterError as error:
            failed = error
        self.query_one(Notice).tell(failed)
        self.watch_words()

    def watch_words(self) -> None:
        """Another filter."""
        kept = [row for row in self._rows if holds(row.text, self.words)]
        table, trace = self.filtered, self._trace
        table.empty = "no line holds these words" if self._rows else "no copy"
        table.show(_COLUMNS, kept)
        told = f"{trace.covered:,} of {trace.tokens:,} tokens are copied" if trace else ""
        table.entitle(f"Places · {len(kept):,}", told)
        self.explain()

    def heading(self, row: Row) -> Content:
        """The prompt and the answer, copies underlined."""
        trace = self._trace
        if trace is None:
            return Content()
        before, answer = trace.text[: trace.begins], trace.text[trace.begins :]
        arrow = (" → " if answer[:1].strip() else " →", "$secondary") if before else ""
        return Content.assemble(
            *marked(before, 0, trace), arrow, *marked(answer, trace.begins, trace, "bold")
        )

    def panes(self, row: Row) -> Sequence[Pane]:
        """The example, the copy marked in it."""
        span, place, text = row.item
        return (Pane(place.example_id, _with_copy(text, span.text.strip())),)

    @on(Lines.Chosen, "#table")
    def _read(self) -> None:
        """Into the example, to scroll it."""
        self.query_one("#first").focus()


_COLUMNS = (
    Column("copied"),
    Column("length", 11, right=True),
    Column("places", 7, right=True),
    Column("example", 24),
)


def _rows(run: RunDir, trace: TextTrace | None) -> Iterator[Row]:
    """Every place that the trace names, with the example's text; of an added text none is kept."""
    for span in trace.copies if trace else ():
        for place in span.places:
            text = "" if span.added else read_text_at(run, place.row)
            yield _row(span, place, text)


def _row(span: TracedSpan, place: Place, text: str) -> Row:
    cells = (
        Cell(span.text.strip(), "strong"),
        Cell(f"{span.length:,} {span.unit}", value=span.length),
        Cell(f"{span.count:,}", value=span.count),
        Cell(place.example_id, "accent"),
    )
    return Row(cells, (span, place, text))


def _with_copy(text: str, copy: str) -> Content:
    """The text of an example with a copy underlined in it, in whatever case it stands there."""
    at = text.find(copy)
    at = text.casefold().find(copy.casefold()) if at < 0 else at
    if at < 0 or not text:
        return Content(clean_lines(text, _CUT) or "an added text: the model has not learnt from it")
    end = at + len(copy)
    return Content.assemble(
        clean_lines(text[:at]),
        (clean(copy), f"bold {COPIED} $accent"),
        clean_lines(text[end:], _CUT),
    )
