"""Layers and their modules, with how widely each spectrum is spread."""

from __future__ import annotations

from textual.reactive import reactive

from pipeline.contract.results.spectra import SpectrumStatistics
from tui.content.ink import Part, fit
from tui.readers.clean import clean
from tui.readers.format import tick
from tui.readers.spectra import ModuleEntry, SpectraOverview
from tui.widgets.lines import Lines

_FIGURE = 8
_BAR = 10
_WIDE = 38


class ModuleList(Lines):
    """One line a layer or module; ◆ stands before the one that others are compared with."""

    overview: reactive[SpectraOverview | None] = reactive(None)
    chosen: reactive[tuple[str, str]] = reactive(("", ""))
    """Strategy and kind whose effective ranks are told."""
    compared: reactive[ModuleEntry | None] = reactive(None)

    @property
    def selected(self) -> ModuleEntry | None:
        """The layer or module under the cursor."""
        entries = self._entries
        return entries[self.cursor] if self.cursor < len(entries) else None

    @property
    def _entries(self) -> tuple[ModuleEntry, ...]:
        return self.overview.entries if self.overview else ()

    def watch_overview(self) -> None:
        """The modules have come."""
        self.count = len(self._entries)
        self._count_modules()
        self.refresh()

    def on_resize(self) -> None:
        """There may be room for the bars now, or none any more."""
        super().on_resize()
        self._count_modules()

    def _count_modules(self) -> None:
        modules = [entry for entry in self._entries if not entry.is_layer]
        has_bars = self.scrollable_content_region.width - 2 >= _WIDE
        note = "bar: share of the full rank" if has_bars else ""
        self.entitle(f"Modules · {len(modules):,}", note)

    def step_layer(self, step: int) -> None:
        """Goes to the same module of the next layer that has it, or of the one before."""
        here, entries = self.selected, self._entries
        if here is None:
            return
        like = [n for n, entry in enumerate(entries) if _sort_of(entry) == _sort_of(here)]
        self.cursor = like[max(0, min(len(like) - 1, like.index(self.cursor) + step))]

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        bar = " " * (_BAR + 1) if width >= _WIDE else ""
        name = fit("  layer · module", width - _FIGURE - len(bar) - 1)
        return [(f"{name}{bar}{'eff. rank':>{_FIGURE + 1}}", "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`◆ mlp.gate_proj   ━━━──── 59.1`."""
        entry = self._entries[index]
        mark: Part = ("◆ ", "warn") if entry == self.compared else ("  ", "plain")
        if entry.is_layer:
            return [mark, (clean(entry.title), "strong")]
        statistics = self._statistics(entry)
        rank = statistics.effective_rank if statistics else None
        figure = fit("–" if rank is None else _rank(rank), _FIGURE, right=True)
        bar = list[Part]()
        if width >= _WIDE:
            share = rank / statistics.count if statistics and rank is not None else 0.0
            full = round(share * _BAR)
            bar = [("━" * full, "accent"), ("─" * (_BAR - full) + " ", "dim")]
        room = width - 4 - _FIGURE - (_BAR + 1 if bar else 0)
        name = fit(clean(entry.modules[0].short), room - 1) + " "
        return [mark, ("  ", "plain"), (name, "plain"), *bar, (figure, "plain")]

    def _statistics(self, entry: ModuleEntry) -> SpectrumStatistics | None:
        strategy, kind = self.chosen
        overview = self.overview
        return overview.statistics(strategy, entry.modules[0], kind) if overview else None


def _sort_of(entry: ModuleEntry) -> str:
    return "" if entry.is_layer else entry.modules[0].short


def _rank(value: float) -> str:
    """With one decimal, so that points stand above one another, where that has room."""
    text = f"{value:,.1f}"
    return text if len(text) <= _FIGURE else tick(value)
