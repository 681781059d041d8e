"""Where one example stands, line by line: by method, for other prompts, among its kin."""

from __future__ import annotations

import math

from textual.reactive import reactive

from tui.content.ink import Part, fit, fit_ends
from tui.readers.clean import clean
from tui.readers.format import aligned, decimals, score
from tui.readers.scores import Standing
from tui.widgets.lines import Lines

_SCORE, _RANK = 11, 10
"""Least cells of the figures."""
_MOST_SCORE = 16
"""Cells of a score that leave room for the rest."""
_DECIMALS = len(".0000")
_NAME = (8, 18)
"""Least and most cells of a name."""
_CUT = 300


class Standings(Lines):
    """One line a standing, with a few words of what it is about where these are given."""

    standings: reactive[tuple[Standing, ...]] = reactive(())
    notes: reactive[tuple[str, ...]] = reactive(())
    """A text a standing, or none at all."""
    current: reactive[str] = reactive("")
    """Which one is written strongly."""
    _longest = 0
    """Cells of the longest name."""
    _score, _decimals = _SCORE, _DECIMALS
    """Cells of the scores, and of what they have from their points on, which stand above one
    another."""

    def watch_standings(self, standings: tuple[Standing, ...]) -> None:
        """Another example."""
        self._longest = max((len(standing.name) for standing in standings), default=0)
        figures = [_figure(standing) for standing in standings]
        self._decimals = max([_DECIMALS, *map(decimals, figures)])
        if any(len(self._padded(one)) >= _MOST_SCORE for one in figures):
            self._decimals = _DECIMALS  # huge ones beside tiny ones, whose points stand apart then
        self._score = max([_SCORE, *(len(self._padded(one)) + 1 for one in figures)])
        self.count = len(standings)
        self._to_current()

    def watch_current(self) -> None:
        """Another one is the present one."""
        self._to_current()

    def _to_current(self) -> None:
        names = [standing.name for standing in self.standings]
        self.cursor = names.index(self.current) if self.current in names else 0
        self.refresh()

    @property
    def selected(self) -> Standing | None:
        """The standing under the cursor."""
        return self.standings[self.cursor] if self.cursor < len(self.standings) else None

    def line(self, index: int, width: int) -> list[Part]:
        """`ekfac      +10.1237     1  a text …`."""
        standing = self.standings[index]
        name = self._name_width(width)
        missing = math.isnan(standing.score)
        ink: Part = (
            fit(self._padded(_figure(standing)), self._score, right=True),
            "dim" if missing else "pro" if standing.score > 0 else "con",
        )
        rank = fit(f"{standing.rank:,}" if standing.rank else "–", _RANK, right=True)
        strong = standing.name == self.current
        parts: list[Part] = [
            (fit_ends(clean(standing.name, _CUT), name), "strong" if strong else "plain"),
            ink,
            (rank, "dim"),
        ]
        if self.notes:
            room = max(0, width - name - self._score - _RANK - 2)
            parts.append(("  " + fit(clean(self.notes[index], _CUT), room), "plain"))
        return parts

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        figures = fit("score", self._score, right=True) + fit("rank", _RANK, right=True)
        return [(fit(" " * self._name_width(width) + figures, width), "dim")]

    def _name_width(self, width: int) -> int:
        left = width - self._score - _RANK - 1  # beside a scroll bar a rank stands apart
        return max(_NAME[0], min(_NAME[1], self._longest, left) if self.notes else left)

    def _padded(self, figure: str) -> str:
        return aligned(figure, self._decimals, 3 * _SCORE)


def _figure(standing: Standing) -> str:
    return "–" if math.isnan(standing.score) else score(standing.score)
