"""Round values for the axes of a chart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import count

_STEPS = (1.0, 2.0, 5.0)
_CLOCK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Seconds between two ticks, up to a day."""
_SMALLEST = 1e-300
"""A shorter axis has no ticks: floats next to 0 cannot be divided further."""


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`: at most `most`."""
    if not _SMALLEST < high - low < math.inf:
        return []
    power = math.floor(math.log10((high - low) / max(1, most)))
    steps = (step * 10.0**exponent for exponent in count(power) for step in _STEPS)
    return _fewest(low, high, steps, most)


def time_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers of seconds, minutes, hours or days, in seconds."""
    if not _SMALLEST < high - low < math.inf:
        return []
    days = (step * 10.0**exponent * 86400 for exponent in count() for step in _STEPS)
    steps = (step for part in (_CLOCK, days) for step in part)
    return _fewest(low, high, steps, most)


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten from `low` to `high`, or where these are few 1, 2 and 5 times such powers."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in (_STEPS, (1.0,)):
        found = [f * 10.0**n for n in range(first, last + 1) for f in factors]
        found = [value for value in found if _within(value, low, high)]
        if len(found) <= most:
            return found if len(found) > 1 else round_ticks(low, high, most)
    return found[:: -(-len(found) // max(1, most))]


def _fewest(low: float, high: float, steps: Iterable[float], most: int) -> list[float]:
    """The multiples of the first of some steps that has no more of them than are wanted."""
    room = 1e-6 * (high - low)  # a step may be far larger than the whole axis
    for step in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            found = (number * step for number in range(first, last + 1))
            return [tick for tick in found if low - room <= tick <= high + room]
    return []


def _within(value: float, low: float, high: float) -> bool:
    return low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


def side_by_side(labels: Sequence[tuple[int, str]], columns: int) -> str:
    """Labels, each around its column, in one line of `columns` cells; one that would touch the one
    before is left out."""
    line = ""
    for column, text in labels:
        begin = max(0, min(column - len(text) // 2, columns - len(text)))
        if begin >= len(line) + bool(line) and len(text) <= columns:
            line = line.ljust(begin) + text
    return line.ljust(columns)
