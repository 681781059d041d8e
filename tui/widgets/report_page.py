"""A section of the report: prose, tables of the dashboard, figures drawn in its charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.content.forest import forest, interval_of, span_of
from tui.content.grid import drawn, parts
from tui.content.ink import SERIES, fit
from tui.content.plot import Series
from tui.keys import keymap_of, with_keys
from tui.readers.clean import clean
from tui.readers.format import number
from tui.readers.report import Block, Grid, Picture, Prose
from tui.readers.report_figures import Curves, Figure, Intervals
from tui.widgets.chart import Chart
from tui.widgets.harmless_markdown import HarmlessMarkdown
from tui.widgets.scrolling import TextPane

_MARKS = "━■▲◆○□△◇"
_NAME, _VALUE, _DRAWN = 34, 9, 60


class ReportPage(TextPane):
    """Shows one section; of tables that are too wide, one part after the other."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="panel")
        self._blocks: tuple[Block, ...] = ()
        self._figures: Mapping[str, tuple[Figure, ...]] = {}
        self._part = 0

    async def show(
        self, blocks: tuple[Block, ...], figures: Mapping[str, tuple[Figure, ...]]
    ) -> None:
        """Lays out a section; what its pictures show stands in `figures`, by path."""
        self._blocks, self._figures, self._part = blocks, figures, 0
        await self._lay_out()
        self.scroll_home(animate=False)

    async def turn(self) -> None:
        """Shows the next columns of the tables that are too wide."""
        self._part += 1
        await self._lay_out()

    @property
    def is_cut(self) -> bool:
        """Whether there is a table that is too wide."""
        grids = [block for block in self._blocks if isinstance(block, Grid)]
        return any(len(parts(grid, self._room)) > 1 for grid in grids)

    @property
    def _room(self) -> int:
        """Cells of a line, with room for a scrollbar."""
        return max(20, self.size.width - 2)

    async def _lay_out(self) -> None:
        await self.remove_children()
        await self.mount_all([widget for block in self._blocks for widget in self._widgets(block)])

    def _widgets(self, block: Block) -> Iterator[Widget]:
        match block:
            case Prose(markdown):
                yield HarmlessMarkdown(markdown)
            case Grid():
                yield Static(self._grid(block), classes="block")
            case Picture(path, told):
                yield from self._picture(path, told)

    def _grid(self, grid: Grid) -> Content:
        shown = parts(grid, self._room)
        columns = shown[self._part % len(shown)]
        table = drawn(grid, columns, self._room)
        if len(shown) == 1:
            return table
        key = with_keys("{report.view}", keymap_of(self.app))
        told = f"part {self._part % len(shown) + 1} of {len(shown)}: {key} shows the next columns"
        return Content("\n").join([table, Content.styled(told, "$accent")])

    def _picture(self, path: str, told: str) -> Iterator[Widget]:
        figures = self._figures.get(path, ())
        if not figures:
            yield Static(Content(clean(f"picture: {told} ({path})")), classes="block")
        elif any(isinstance(figure, Intervals) for figure in figures):
            yield Static(Content.styled(clean(told), "$secondary"))
        for figure in figures:
            if isinstance(figure, Curves):
                yield _chart(figure)
            else:
                yield Static(_intervals(figure, self._room), classes="block")


def _chart(figure: Curves) -> Chart:
    chart = Chart(axis=figure.axis)
    chart.title = figure.title
    chart.series = tuple(
        Series(name, curve, SERIES[n % len(SERIES)], _MARKS[n % len(_MARKS)])
        for n, (name, curve) in enumerate(figure.curves.items())
    )
    return chart


def _intervals(figure: Intervals, width: int) -> Content:
    """A line a figure: its name, its value, its interval along the common axis."""
    ends = [interval_of(one.estimate) for one in figure.rows]
    span = span_of(ends, *(one.beside for one in figure.rows))
    name = min(_NAME, max((len(one.name) for one in figure.rows), default=0))
    cells = max(8, min(_DRAWN, width - name - _VALUE - 3))
    lines = [Content.styled(figure.unit, "$secondary")]
    for one, interval in zip(figure.rows, ends, strict=True):
        share = 100 * interval.value
        value = f"{share:.1f}" if figure.is_share else number(interval.value)
        line = forest(interval, span, cells, one.beside)
        lines.append(
            Content.assemble(
                f"{fit(clean(one.name), name)} {fit(value, _VALUE, right=True)}  ",
                (line, "$accent"),
            )
        )
    return Content("\n").join(lines)
