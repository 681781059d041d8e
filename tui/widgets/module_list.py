"""Layers and their modules, with how widely each spectrum is spread."""

from __future__ import annotations

from textual.reactive import reactive

from tui.readers.clean import clean
from tui.readers.format import tick
from tui.readers.spectra import Overview, Place
from tui.widgets.ink import Part, fit
from tui.widgets.lines import Lines

_FIGURE = 8
_BAR = 10
_WIDE = 38


class ModuleList(Lines):
    """One line a layer or module; ◆ stands before the one that others are compared with."""

    overview: reactive[Overview | None] = reactive(None)
    chosen: reactive[tuple[str, str]] = reactive(("", ""))
    """Strategy and kind whose effective ranks are told."""
    compared: reactive[Place | None] = reactive(None)

    @property
    def selected(self) -> Place | None:
        """The layer or module under the cursor."""
        places = self._places
        return places[self.cursor] if self.cursor < len(places) else None

    @property
    def _places(self) -> tuple[Place, ...]:
        return self.overview.places if self.overview else ()

    def watch_overview(self) -> None:
        """The modules have come."""
        self.count = len(self._places)
        self._count_modules()
        self.refresh()

    def on_resize(self) -> None:
        """There may be room for the bars now, or none any more."""
        super().on_resize()
        self._count_modules()

    def _count_modules(self) -> None:
        modules = [place for place in self._places if not place.is_layer]
        has_bars = self.scrollable_content_region.width - 2 >= _WIDE
        told = "bar: effective rank of all" if has_bars else ""
        self.entitle(f"Modules · {len(modules)}", told)

    def step_layer(self, step: int) -> None:
        """Goes to the same module of the next layer that has it, or of the one before."""
        here, places = self.selected, self._places
        if here is None:
            return
        like = [n for n, place in enumerate(places) if _sort_of(place) == _sort_of(here)]
        self.cursor = like[max(0, min(len(like) - 1, like.index(self.cursor) + step))]

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        bar = " " * (_BAR + 1) if width >= _WIDE else ""
        name = fit("  layer · module", width - _FIGURE - len(bar) - 1)
        return [(f"{name}{bar}{'eff. rank':>{_FIGURE + 1}}", "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`◆ mlp.gate_proj   ━━━──── 59.1`."""
        place = self._places[index]
        mark: Part = ("◆ ", "warn") if place == self.compared else ("  ", "plain")
        if place.is_layer:
            return [mark, (clean(place.title), "strong")]
        figures = self.overview.figures.get(self._key(place)) if self.overview else None
        rank, count = (figures["effective_rank"], figures["count"]) if figures else (None, None)
        told = fit("–" if rank is None else tick(rank), _FIGURE, right=True)
        bar = list[Part]()
        if width >= _WIDE:
            share = rank / count if rank is not None and count else 0.0
            full = round(share * _BAR)
            bar = [("━" * full, "accent"), ("─" * (_BAR - full) + " ", "dim")]
        room = width - 4 - _FIGURE - (_BAR + 1 if bar else 0)
        name = fit(clean(place.modules[0].short), room - 1) + " "
        return [mark, ("  ", "plain"), (name, "plain"), *bar, (told, "plain")]

    def _key(self, place: Place) -> tuple[str, str, str]:
        strategy, kind = self.chosen
        return strategy, place.modules[0].name, kind


def _sort_of(place: Place) -> str:
    return "" if place.is_layer else place.modules[0].short
