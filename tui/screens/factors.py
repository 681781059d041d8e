"""Layers and modules, their spectra and Λ maps, and two of them side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.spectra import SYMBOLS, TITLES, Kind
from pipeline.contract.run.run_dir import RunDir
from tui.content.figures_text import figures_text
from tui.content.ink import SERIES
from tui.content.plot import Series
from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.spectra import Module, ModuleEntry, SpectraOverview, SpectraReader
from tui.readers.window import RANKS
from tui.screens.mixins.chart_keys import ChartKeys
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.view import READING, View
from tui.widgets.banner import Banner
from tui.widgets.chart import Chart
from tui.widgets.heat_map import HeatMap, Tile
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.module_list import ModuleList
from tui.widgets.notice import Notice
from tui.widgets.scrolling import TextPane

_PAGES: tuple[Kind, ...] = ("lambda", "activation", "gradient")
_VIEWS = ("-curve", "-map", "-figures")
_CLIPS = (100.0, 99.9, 99.0, 95.0, 90.0)
_MARKS = "━■▲◆○□△◇"
_EIGENVALUES = "Λ, eigenvalues"
_NO_MAP = "no maps: the inspect stage of an older version wrote none; run it again"


@dataclass(frozen=True)
class Chosen:
    """What is looked at: a strategy, a kind, whether sums, the titles of two entries."""

    strategy: str
    kind: Kind
    cumulative: bool
    entry: str
    compared: str


class FactorsScreen(View[None], ChartKeys, Renewing):
    """The list of modules on the left; the curve, the map and the figures on the right.

    A low screen has room for one of the three; `v` steps through them.
    """

    SCOPE: ClassVar[Scope] = "factors"
    STAGES = ("factors", "inspect")
    CSS_PATH = "factors.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("factors"),
        *bindings("chart"),
        *bindings("results"),
    ]

    strategy: reactive[str] = reactive("", init=False, repaint=False)
    kind: reactive[Kind] = reactive("lambda", init=False, repaint=False)
    cumulative: reactive[bool] = reactive(False, init=False, repaint=False)
    """Whether shares of the sum are drawn instead of the eigenvalues."""
    compared: reactive[ModuleEntry | None] = reactive(None, init=False, repaint=False)
    """What every other layer or module is compared with."""

    def __init__(self, run: RunDir, chosen: Chosen | None = None) -> None:
        super().__init__()
        self._run, self._chosen = run, chosen
        self._reader = SpectraReader(run)
        self._overview: SpectraOverview | None = None

    def compose(self) -> ComposeResult:
        """The panes."""
        yield Banner()
        yield Notice(id="notice")
        with Horizontal(id="factors"):
            yield ModuleList(id="modules")
            with Vertical(id="spectra"):
                yield Chart(id="curve", axis=RANKS)
                yield HeatMap(id="map")
                with TextPane(id="numbers", classes="panel"):
                    yield Static(id="figures")
        yield KeyBar()

    def on_mount(self) -> None:
        """Reads what there is."""
        self.query_one(Banner).trail = (self._run.name, "factors")
        self.query_one("#numbers").border_title = "Figures"
        self.chart.empty = self.query_one(HeatMap).empty = "reading…"
        self.chart.log_scale = True
        self._load()

    def renewed(self) -> FactorsScreen:
        """The screen on the newer results."""
        names = [_name(entry) for entry in (self.list.selected, self.compared)]
        return FactorsScreen(self._run, Chosen(self.strategy, self.kind, self.cumulative, *names))

    @work(group=READING)
    async def _load(self) -> None:
        overview, failed = None, None
        try:
            overview = await asyncio.to_thread(self._reader.overview)
        except HeadwaterError as error:
            failed = error
        self.tell(failed, "the spectra")
        self.query_one("#factors").display = overview is not None
        if overview:
            self._browse(overview)
            self.greet()

    @property
    def has_hint(self) -> bool:
        """The hint tells what can be done with spectra."""
        return self._overview is not None

    def _browse(self, overview: SpectraOverview) -> None:
        self._overview = overview
        if overview.stale:
            self.query_one(Banner).standing = ("≠ stale: the settings have changed since", "warn")
        self.set_reactive(FactorsScreen.strategy, overview.strategies[0])
        self.query_one(HeatMap).clip = overview.clip
        self.list.overview = overview
        self.list.cursor = 1  # the first module
        if self._chosen:
            self._choose(overview, self._chosen)
        self.list.focus()
        self._show()

    def _choose(self, overview: SpectraOverview, chosen: Chosen) -> None:
        """What was looked at before, as far as it is still there."""
        if chosen.strategy in overview.strategies:
            self.set_reactive(FactorsScreen.strategy, chosen.strategy)
            if chosen.kind in overview.kinds(chosen.strategy):
                self.set_reactive(FactorsScreen.kind, chosen.kind)
        self.cumulative = chosen.cumulative
        entries = {_name(entry): number for number, entry in enumerate(overview.entries)}
        self.list.cursor = entries.get(chosen.entry, 1)
        if chosen.compared in entries:
            self.compared = overview.entries[entries[chosen.compared]]

    @property
    def list(self) -> ModuleList:
        """Layers and modules."""
        return self.query_one(ModuleList)

    def watch_strategy(self) -> None:
        """Another strategy; it may have no spectra of the kind that was shown."""
        kinds = self._overview.kinds(self.strategy) if self._overview else ()
        if kinds and self.kind not in kinds:
            self.set_reactive(FactorsScreen.kind, kinds[-1])
        self._show()

    def watch_kind(self) -> None:
        """Another kind."""
        self._show()

    def watch_compared(self, entry: ModuleEntry | None) -> None:
        """Something to compare with, or nothing any more."""
        self.list.compared = entry
        self._show()

    def watch_cumulative(self, cumulative: bool) -> None:
        """Shares of the sum stand on a plain scale, eigenvalues on a logarithmic one."""
        self.chart.log_scale = not cumulative
        self.chart.whole()
        self._show()

    @on(Lines.Moved, "#modules")
    def _moved(self) -> None:
        self._show()

    @work(exclusive=True)
    async def _show(self) -> None:
        """Reads what is chosen off the event loop; a newer choice replaces an older one."""
        overview, entry = self._overview, self.list.selected
        if overview is None or entry is None:
            return
        self.list.chosen = (self.strategy, self.kind)
        try:
            series = await asyncio.to_thread(lambda: tuple(self._series(entry)))
            tiles = await asyncio.to_thread(lambda: tuple(self._tiles(entry)))
        except HeadwaterError as error:
            self.tell(error, "the spectra")
            return
        self._draw(entry, series, tiles)
        self._tell()

    def _draw(
        self, entry: ModuleEntry, series: tuple[Series, ...], tiles: tuple[Tile, ...]
    ) -> None:
        title = f"{clean(entry.title)} · {clean(self.strategy)}"
        values = _EIGENVALUES if self.kind == "lambda" else SYMBOLS[self.kind]
        self.chart.title = f"{title} {values}" + " · % of the sum" * self.cumulative
        self.chart.series = series
        self.chart.empty = "no values above 0"
        heat = self.query_one(HeatMap)
        heat.entitle(f"{title} {_EIGENVALUES}")
        heat.empty = _NO_MAP
        heat.tiles = tiles

    def _tell(self) -> None:
        """The figures, in as many cells as they have: none while they are hidden."""
        entry, width = self.list.selected, self.query_one("#figures").size.width
        if self._overview and entry and width:
            chosen = (self.strategy, self.kind)
            figures = figures_text(self._overview, chosen, entry, self.compared, width)
            self.query_one("#figures", Static).update(figures)

    def on_resize(self) -> None:
        """The figures have other room, once the screen is laid out again."""
        self.call_after_refresh(self._tell)

    def _modules(self, entry: ModuleEntry) -> Iterator[tuple[str, Module, bool]]:
        """(title, module, whether it is only compared with) of what is drawn."""
        for module in entry.modules:
            yield module.short if entry.is_layer else entry.title, module, False
        other = self.compared
        if other is None or other == entry:
            return
        for module in entry.modules:
            if (twin := other.counterpart(module)) and twin != module:
                name = twin.short if twin.layer is None else f"{twin.layer} · {twin.short}"
                yield f"◆ {name}", twin, True

    def _series(self, entry: ModuleEntry) -> Iterator[Series]:
        """Lines; the modules of a layer that is compared with as dots, in their namesakes' inks."""
        count = len(entry.modules)
        for number, (title, module, is_twin) in enumerate(self._modules(entry)):
            curves = self._reader.curves(self.strategy, module.name, self.kind)
            if curves is None:
                continue
            dotted = is_twin and count > 1
            look = (number % count if dotted else number) % len(SERIES)
            curve = curves.cumulative if self.cumulative else curves.eigenvalues
            yield Series(title, curve, SERIES[look], "·" if dotted else _MARKS[look], dotted)

    def _tiles(self, entry: ModuleEntry) -> Iterator[Tile]:
        for title, module, _ in self._modules(entry):
            if heat := self._reader.lambda_map(self.strategy, module.name):
                yield Tile(title, heat)

    # Keys

    @on(Lines.Chosen, "#modules")
    def action_view(self) -> None:
        """Shows the curve, the map or the figures alone; all again where there is room."""
        alone = next((n for n, view in enumerate(_VIEWS) if self.has_class(view)), -1)
        if alone == -1 and self.has_class("-short"):
            alone = 0  # a low screen shows the curve without being told
        self.remove_class(*_VIEWS)
        if alone + 1 < len(_VIEWS):
            self.add_class(_VIEWS[alone + 1])
        self.call_after_refresh(self._tell)

    def action_cumulative(self) -> None:
        """Draws the eigenvalues, or shares of their sum."""
        self.cumulative = not self.cumulative

    def action_kind(self, page: int) -> None:
        """Another kind, where the strategy has such spectra."""
        kind = _PAGES[page]
        if self._overview is None or kind in self._overview.kinds(self.strategy):
            self.kind = kind
        else:
            self.notify(f"{TITLES[kind]}: {clean(self.strategy)} has none", markup=False)

    def action_strategy(self) -> None:
        """The next strategy."""
        if self._overview:
            names = self._overview.strategies
            self.strategy = names[(names.index(self.strategy) + 1) % len(names)]

    def action_layer(self, step: int) -> None:
        """The same module of another layer."""
        self.list.step_layer(step)

    def action_compare(self) -> None:
        """Keeps what is selected to compare with, or stops."""
        self.compared = None if self.compared == self.list.selected else self.list.selected

    def action_clip(self) -> None:
        """The next percentile where the colours end."""
        heat = self.query_one(HeatMap)
        lower = [clip for clip in _CLIPS if clip < heat.clip]
        heat.clip = lower[0] if lower else _CLIPS[0]

    def action_leave(self) -> None:
        """Stops the comparison, or goes back out."""
        if self.compared:
            self.compared = None
        else:
            self.app.pop_screen()


def _name(entry: ModuleEntry | None) -> str:
    return entry.title if entry else ""
