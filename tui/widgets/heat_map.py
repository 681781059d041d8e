"""Λ maps side by side on one scale: two values in every cell, or shades where colours are few."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from pipeline.contract.results.lambda_maps import LambdaMap
from tui.content.heat import SHADES, HeatScale, colour, reduced, shade
from tui.content.ink import Part, fit
from tui.readers.clean import clean
from tui.readers.format import tick
from tui.terminal import speaks_utf8
from tui.widgets.inked import Inked

_GAP = 2
_RAMP = 10
_WIDE_LEGEND = 72
"""Cells of a legend that has room for what the map's sides are."""


@dataclass(frozen=True)
class Tile:
    """A map and what it is of."""

    title: str
    heat: LambdaMap


@dataclass(frozen=True)
class _Grid:
    """How tiles share the room."""

    across: int
    width: int
    height: int
    """Cells of a map, without its title."""

    @classmethod
    def of(cls, tiles: int, width: int, height: int) -> _Grid:
        """The grid whose tiles are nearest to squares; a cell is twice as high as it is wide."""
        grids = []
        for across in range(1, tiles + 1):
            wide = (width - (across - 1) * _GAP) // across
            grids.append(cls(across, wide, height // math.ceil(tiles / across) - 1))
        return max(grids, key=lambda grid: min(grid.width, 2 * grid.height))


class HeatMap(Inked):
    """One or several maps, and the scale that all share."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    tiles: reactive[tuple[Tile, ...]] = reactive(())
    clip: reactive[float] = reactive(99.0)
    """Percentile where the colours end."""
    empty: reactive[str] = reactive("")
    """What is said where there is no map."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn: object = ()
        self._strips: list[Strip] = []

    @property
    def _is_shaded(self) -> bool:
        """Whether the terminal has too few colours for a scale, or no half blocks."""
        few = self.app.native_ansi_color or self.app.console.color_system in (None, "standard")
        return few or not speaks_utf8(os.environ)

    @property
    def _is_of_palette(self) -> bool:
        """Whether the terminal shows the 256 colours of the palette and no others."""
        return self.app.console.color_system == "256"

    def draw_line(self, y: int) -> Strip:
        """One line of the screen; all are drawn anew only when something has changed."""
        state = (*self.size, self.tiles, self.clip, self.empty, self._is_shaded, self.rich_style)
        if state != self._drawn:
            self._drawn, self._strips = state, self._draw(*self.size)
        blank = self.ink_strip([], self.size.width)
        return self._strips[y] if y < len(self._strips) else blank

    def _draw(self, width: int, height: int) -> list[Strip]:
        scale = HeatScale.of((tile.heat for tile in self.tiles), self.clip)
        if scale is None:
            note = self.empty or "no value above 0"
            return [self.ink_strip([], width), self.ink_strip([(f" {note}", "dim")], width)]
        grid = _Grid.of(len(self.tiles), width, height - 1)
        if grid.width < 4 or grid.height < 1:
            return [self.ink_strip([(" no room for the maps", "dim")], width)]
        lines: list[Strip] = []
        for first in range(0, len(self.tiles), grid.across):
            lines += self._row_of_tiles(self.tiles[first : first + grid.across], grid, scale)
        return [*lines, self._legend(scale, width)]

    def _row_of_tiles(self, tiles: tuple[Tile, ...], grid: _Grid, scale: HeatScale) -> list[Strip]:
        columns = [self._tile(tile, grid, scale) for tile in tiles]
        gap = Segment(" " * _GAP, self.rich_style)
        width = self.size.width
        strips = []
        for pieces in zip(*columns, strict=True):
            line = [segment for piece in pieces for segment in (*piece, gap)]
            strips.append(Strip(line).adjust_cell_length(width, self.rich_style).simplify())
        return strips

    def _tile(self, tile: Tile, grid: _Grid, scale: HeatScale) -> list[list[Segment]]:
        """The lines of one tile, its title first."""
        title = list(self.ink_strip(_title(tile, grid.width), grid.width))
        cells = reduced(tile.heat, grid.width, 2 * grid.height)
        shares = [[scale.share(value) for value in row] for row in cells]
        pairs = zip(shares[::2], shares[1::2], strict=True)
        if self._is_shaded:
            letters = ("".join(map(shade, zip(*pair, strict=True))) for pair in pairs)
            return [title, *([Segment(line, self.rich_style)] for line in letters)]
        few = self._is_of_palette
        lines = [
            [Segment("▀", _style(*both, few)) for both in zip(*pair, strict=True)] for pair in pairs
        ]
        return [title, *lines]

    def _legend(self, scale: HeatScale, width: int) -> Strip:
        if self._is_shaded:
            ramp = [Segment(SHADES, self.rich_style)]
        else:
            shares = [n / (_RAMP - 1) for n in range(_RAMP)]
            ramp = [Segment("▀", _style(share, share, self._is_of_palette)) for share in shares]
        clip = f"{100 - self.clip:g}–{self.clip:g}"
        ends = (
            f"percentiles {clip} · outputs ↓ inputs →" if width >= _WIDE_LEGEND else f"{clip} pct"
        )
        dim = self.rich_style + self._ink_style("dim")
        parts = [
            Segment(f"{tick(scale.low)} ", self.rich_style),
            *ramp,
            Segment(f" {tick(scale.high)}", self.rich_style),
            Segment(f"  {ends}", dim),
        ]
        return Strip(parts).adjust_cell_length(width, self.rich_style).simplify()


def _title(tile: Tile, width: int) -> list[Part]:
    """Name and size; where room is short the size is left out, then the name's beginning."""
    size, name = f" {tile.heat.outputs:,} × {tile.heat.inputs:,}", clean(tile.title, 80)
    if len(name) + len(size) <= width:
        return [(fit(name, width - len(size)), "strong"), (size, "dim")]
    mark = "◆ " if name.startswith("◆") else ""
    if len(name) > width:
        name = mark + name.rpartition(".")[2]
    return [(fit(name, width), "strong")]


@lru_cache(maxsize=4096)
def _style(top: float | None, low: float | None, few: bool) -> Style:
    return Style(color=colour(top, few), bgcolor=colour(low, few))
