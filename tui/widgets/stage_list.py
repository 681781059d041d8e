"""The stages of a run: state, progress, elapsed time, time still to go."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.reactive import reactive

from tui.content.ink import Part, bar, fit
from tui.content.states import SYMBOLS
from tui.keys import bindings
from tui.readers.clean import clean
from tui.readers.format import clock
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from pipeline.contract.run.status import StageStatus

_STATE = 10
"""Cells of the state's name."""
_FIXED = 3 + 9 + _STATE + 6 + 6
"""Cells of a line that are not the progress bar's."""


class StageList(Lines):
    """One line a stage. The cursor follows the stage at work until a person moves it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("stages")

    stages: reactive[tuple[StageStatus, ...]] = reactive((), repaint=False)

    @property
    def selected(self) -> StageStatus | None:
        """The stage under the cursor."""
        return self.stages[self.cursor] if self.cursor < len(self.stages) else None

    def watch_stages(self, old: tuple[StageStatus, ...], new: tuple[StageStatus, ...]) -> None:
        """New states: follows the stage at work if the cursor was on the one before."""
        self.count = len(new)
        before, now = _at_work(old), _at_work(new)
        if now is not None and now != before and (not old or before in (None, self.cursor)):
            self.cursor = now
        elif not old and new:
            self.cursor = _in_trouble(new)
        self.entitle(_title(new))
        self.refresh_changed()

    def header(self, width: int) -> list[Part] | None:
        """Names of the columns, where there is room for them besides the stages."""
        if self.count and self.size.height <= self.count:
            return None
        middle = max(0, width - _FIXED)
        return [
            (fit("  stage", 12) + fit("state", _STATE), "dim"),
            (fit("progress" if middle >= 8 else "", middle), "dim"),
            (fit("time", 6, right=True) + fit("left", 6, right=True), "dim"),
        ]

    def line(self, index: int, width: int) -> list[Part]:
        """`● train  running  ━━━━━━──── 60 %  1:12  0:48`."""
        stage = self.stages[index]
        symbol, ink = SYMBOLS[stage.state]
        return [
            (f"{symbol} ", ink),
            (fit(stage.stage, 10), "dim" if stage.state == "waiting" else "plain"),
            *_standing(stage, max(0, width - _FIXED)),
            (fit(clock(stage.seconds) if stage.seconds is not None else "", 6, right=True), "dim"),
            (fit(clock(stage.eta) if stage.eta is not None else "", 6, right=True), "plain"),
        ]


def _standing(stage: StageStatus, width: int) -> list[Part]:
    """State and progress; of a running stage what it does alone, where both have no room: its
    symbol tells that it runs. `width`: cells of the progress."""
    ink = SYMBOLS[stage.state][1]
    phase = clean(stage.phase)
    if stage.state == "running" and not stage.share and len(phase) > width:
        return [(fit(phase, _STATE + width), ink)]
    state = "optional" if stage.unasked else stage.state
    return [(fit(state, _STATE), ink), *_progress(stage, width)]


def _progress(stage: StageStatus, width: int) -> list[Part]:
    """A bar while the stage works, before that what it does; its warnings when it rests."""
    if stage.at_work and not stage.share:
        return [(fit(clean(stage.phase), width), "dim")]
    if stage.at_work and stage.share:
        percent = f" {floor(100 * stage.share):>3}%"
        bars = bar(stage.share, max(0, width - 5))
        return [*bars, (fit(percent, min(5, width), right=True), "strong")]
    count = stage.warnings
    if not count:
        return [(" " * width, "plain")]
    told = f"{count} warning{'s' * (count > 1)}"
    return [(fit(told if len(told) < width else f"{count} warn", width), "warn")]


def _at_work(stages: tuple[StageStatus, ...]) -> int | None:
    states = [stage.state in ("running", "stopping") for stage in stages]
    return states.index(True) if True in states else None


def _in_trouble(stages: tuple[StageStatus, ...]) -> int:
    troubled = [stage.state in ("failed", "lost", "cancelled") for stage in stages]
    return troubled.index(True) if True in troubled else 0


def _title(stages: tuple[StageStatus, ...]) -> str:
    asked = [stage for stage in stages if not stage.unasked]
    done = sum(stage.state == "done" for stage in asked)
    known = stages and all(stage.state != "finished" for stage in stages)
    return f"Stages · {done} of {len(asked)} done" if known else "Stages"
