"""What a chart's readings are counted by, and the part of it that is in view."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tui.readers.format import clock, compact
from tui.readers.ticks import log_ticks, round_ticks, time_ticks

_NARROWEST = 4.0
"""Steps that can be seen at the least."""
_DECADE = 1000.0


@dataclass(frozen=True)
class Axis:
    """Steps, tokens, seconds or ranks: what they are called, and where each lies along a chart."""

    name: str = "step"
    log: bool = False
    """Whether equal ratios take equal room."""
    clock: bool = False
    """Whether it counts seconds."""
    grows: bool = True
    """Whether readings are still added: the newest is told then, and a view follows them."""

    def coordinate(self, count: float) -> float:
        """Where a count lies."""
        return _DECADE * math.log10(count) if self.log else count

    def text(self, coordinate: float) -> str:
        """The count at a coordinate, as a person reads it."""
        if self.clock:
            return clock(coordinate)
        return f"{10 ** (coordinate / _DECADE) if self.log else coordinate:,.0f}"

    def ticks(self, first: float, last: float, most: int) -> list[tuple[float, str]]:
        """Coordinates of round counts between two, at most `most`, and what stands beside them."""
        if self.log:
            found = log_ticks(10 ** (first / _DECADE), 10 ** (last / _DECADE), most)
            return [(self.coordinate(count), compact(count)) for count in found]
        if self.clock:
            return [(count, clock(count)) for count in time_ticks(first, last, most)]
        whole = [count for count in round_ticks(first, last, most) if count == round(count)]
        return [(count, compact(count)) for count in whole]


STEPS = Axis()
TOKENS = Axis("tokens")
TIME = Axis("time", clock=True)
"""Since a stage's first reading."""
TRAINING = (STEPS, TOKENS, TIME)
"""What the readings of a training can be drawn by."""
RANKS = Axis("rank", log=True, grows=False)
LAYERS = Axis("layer", grows=False)


@dataclass(frozen=True)
class Window:
    """From one step to another."""

    first: float
    last: float
    follows: bool = False
    """Whether it moves on when steps are added at its end."""

    @property
    def width(self) -> float:
        """Steps from its first to its last."""
        return self.last - self.first

    def over(self, span: tuple[float, float]) -> Window:
        """Where the window lies now that the steps span from one to another."""
        if self.follows:
            return replace(self, first=max(span[0], span[1] - self.width), last=span[1])
        return self

    def zoomed(self, factor: float, span: tuple[float, float], at: float) -> Window | None:
        """As wide times `factor`, with the step `at` staying where it is; None shows everything."""
        whole = span[1] - span[0]
        width = max(self.width * factor, min(_NARROWEST, whole))
        if width >= whole:
            return None
        share = (at - self.first) / self.width if self.width else 0.5
        return _inside(at - share * width, width, span)

    def panned(self, share: float, span: tuple[float, float]) -> Window:
        """Moved by a share of its width."""
        return _inside(self.first + share * self.width, self.width, span)

    def showing(self, step: float, span: tuple[float, float]) -> Window:
        """Moved just so far that a step is in view."""
        if self.first <= step <= self.last:
            return self
        first = step if step < self.first else step - self.width
        return _inside(first, self.width, span)


def _inside(first: float, width: float, span: tuple[float, float]) -> Window:
    first = max(span[0], min(first, span[1] - width))
    return Window(first, first + width, follows=first + width >= span[1])
