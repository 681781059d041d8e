"""Matrices as cells of colour: how far the colours reach, and what each cell shows. No Textual."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from rich.color import Color, ColorSystem

from pipeline.contract.results.lambda_maps import LambdaMap

_VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58",
            "b5de2b", "fde725")  # fmt: skip
"""Lighter with every step, for an eye without colours too: Smith and van der Walt (2015)."""
_STEPS = 48
_COUNTED = 1 << 16
"""Values that percentiles are taken of, at the most."""
_NOTHING = Color.from_rgb(128, 128, 128)
SHADES = " ░▒▓█"
"""The same where there are no colours enough."""


@dataclass(frozen=True)
class HeatScale:
    """Values to shares of the colours, on a log scale; what lies beyond an end takes its colour."""

    low: float
    high: float

    @classmethod
    def of(cls, maps: Iterable[LambdaMap], clip: float) -> HeatScale | None:
        """From a percentile of all values above 0 to its mirror image; None where there are none.

        A few extreme values would take all the colours otherwise. Of many maps, evenly spaced
        values stand for all.
        """
        shown = list(maps)
        step = 1 + sum(len(one.values) for one in shown) // _COUNTED
        every = (one.values[::step] for one in shown)
        values = sorted(v for some in every for v in some if v > 0 and math.isfinite(v))
        if not values:
            return None
        low, high = _percentile(values, 100 - clip), _percentile(values, clip)
        return cls(low, high if high > low else 10 * low)

    def share(self, value: float) -> float | None:
        """0 for the lowest colour, 1 for the highest, None for what is not a number."""
        if math.isnan(value):
            return None
        if value <= self.low:
            return 0.0
        return min(1.0, math.log(value / self.low) / math.log(self.high / self.low))


def colour(share: float | None, few: bool = False) -> Color:
    """The colour of a share, one of the palette of 256 where there are so `few`; grey for what is
    not a number."""
    if share is None:
        return _NOTHING
    colours = _of_palette() if few else _colours()
    return colours[round(share * (len(colours) - 1))]


def shade(shares: Sequence[float | None]) -> str:
    """A letter as dark as the mean of some shares; ? where none is a number."""
    known = [share for share in shares if share is not None]
    if not known:
        return "?"
    return SHADES[min(len(SHADES) - 1, int(sum(known) / len(known) * len(SHADES)))]


def reduced(heat: LambdaMap, columns: int, rows: int) -> list[list[float]]:
    """The map in `rows` × `columns` cells: means of blocks, or the same value several times."""
    blocks = [_block(n, columns, heat.columns) for n in range(columns)]
    cells = []
    for row in range(rows):
        first, last = _block(row, rows, heat.rows)
        lines = [heat.values[n * heat.columns : (n + 1) * heat.columns] for n in range(first, last)]
        cells.append([_mean(lines, begin, end) for begin, end in blocks])
    return cells


def _block(cell: int, cells: int, values: int) -> tuple[int, int]:
    begin = cell * values // cells
    return begin, max(begin + 1, (cell + 1) * values // cells)


def _mean(lines: Sequence[array[float]], begin: int, end: int) -> float:
    values = [value for line in lines for value in line[begin:end] if math.isfinite(value)]
    return sum(values) / len(values) if values else math.nan


def _percentile(ordered: Sequence[float], percent: float) -> float:
    position = percent / 100 * (len(ordered) - 1)
    below = ordered[math.floor(position)]
    return below + (ordered[math.ceil(position)] - below) * (position % 1)


@cache
def _colours() -> tuple[Color, ...]:
    known = [[int(name[n : n + 2], 16) for n in (0, 2, 4)] for name in _VIRIDIS]
    colours = []
    for step in range(_STEPS):
        position = step / (_STEPS - 1) * (len(known) - 1)
        left = min(int(position), len(known) - 2)
        share = position - left
        mixed = (a + (b - a) * share for a, b in zip(known[left], known[left + 1], strict=True))
        colours.append(Color.from_rgb(*mixed))
    return tuple(colours)


@cache
def _of_palette() -> tuple[Color, ...]:
    """The nearest of 256 colours, without those that come out darker than the one before."""
    kept: list[Color] = []
    for near in (colour.downgrade(ColorSystem.EIGHT_BIT) for colour in _colours()):
        if not kept or _lightness(near) > _lightness(kept[-1]):
            kept.append(near)
    return tuple(kept)


def _lightness(colour: Color) -> float:
    """How light a colour is to an eye, of 1 (CIE 1931)."""
    red, green, blue = ((value / 255) ** 2.2 for value in colour.get_truecolor())
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)
