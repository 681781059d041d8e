"""The runs: name, state, stage, last loss, age."""

from __future__ import annotations

import time

from textual.reactive import reactive

from tui.readers.clean import clean
from tui.readers.format import age, number
from tui.readers.runs import RunRow
from tui.widgets.ink import Part, fit
from tui.widgets.lines import Lines
from tui.widgets.states import SYMBOLS

_FIXED = 12 + 11 + 10 + 14


class RunList(Lines):
    """One line a run, newest first. The cursor stays on its run when others come and go."""

    rows: reactive[tuple[RunRow, ...]] = reactive(())

    @property
    def selected(self) -> RunRow | None:
        """The run under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def watch_rows(self, old: tuple[RunRow, ...], new: tuple[RunRow, ...]) -> None:
        """The list has been read again."""
        held = old[self.cursor].run if self.cursor < len(old) else None
        self.count = len(new)
        places = [row.run for row in new]
        if held in places:
            self.cursor = places.index(held)
        self.border_title = f"Runs · {len(new)}"
        self.refresh()

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        name = max(8, width - _FIXED)
        titles = fit("run", name) + fit("  state", 12) + fit("stage", 11)
        return [(titles + fit("loss", 10, right=True) + fit("age", 14, right=True), "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`demo  ● running  train  0.412  3 min ago`."""
        row = self.rows[index]
        name: Part = (fit(clean(row.run.name), max(8, width - _FIXED)), "strong")
        when: Part = (fit(age(max(0.0, time.time() - row.created)), 14, right=True), "dim")
        stage, loss = row.snapshot.telling, row.snapshot.loss.last
        if stage is None:
            return [name, (fit("✗ settings", 12), "bad"), (fit("", 21), "plain"), when]
        symbol, ink = SYMBOLS[stage.state]
        return [
            name,
            (fit(f"{symbol} {stage.state}", 12), ink),
            (fit(stage.stage, 11), "plain"),
            (fit(number(loss) if loss is not None else "–", 10, right=True), "plain"),
            when,
        ]
