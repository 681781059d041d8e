"""Choosing by what examples are ranked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from textual import work
from textual.dom import DOMNode

from pipeline.contract.results.scores import measures
from pipeline.contract.run.run_dir import RunDir
from tui.readers.method_figures import NOT_MEASURED, method_figures
from tui.screens.dialogs.choice import Choice, ChoiceDialog
from tui.screens.mixins.ahead import AHEAD_S


class Picking(DOMNode):
    """The list of methods. It opens at once: what is typed behind its key is meant for it. A screen
    names `View` before this."""

    _run: RunDir
    _figures: Mapping[str, str] | None = None
    """How well each method does; None: not read yet."""

    def on_mount(self) -> None:
        """Reads the figures once what they are about is shown; Textual calls this beside the
        screen's own."""
        self.set_timer(AHEAD_S, self._read_figures)

    @work(group="figures")
    async def _read_figures(self) -> None:
        self._figures = await asyncio.to_thread(method_figures, self._run)

    def pick(self, names: Sequence[str], current: str, take: Callable[[str], object]) -> None:
        """Lets a person choose a method or layer; `take` gets it, unless they leave it as it is."""
        figures, unknown = self._figures or {}, NOT_MEASURED if self._figures is not None else "…"
        choices = [Choice(name, figures.get(name, unknown), measures(name)) for name in names]
        at = names.index(current) if current in names else 0
        self.offer("Rank by", choices, lambda position: take(names[position]), at)

    def offer(
        self,
        title: str,
        choices: Sequence[Choice],
        take: Callable[[int], object],
        current: int = 0,
    ) -> None:
        """Opens a list; `take` gets the position of what is chosen, unless nothing is."""

        def chosen(position: int | None) -> None:
            if position is not None:
                take(position)

        if choices:
            self.app.push_screen(ChoiceDialog(title, choices, current), chosen)
        else:
            self.app.notify("there is nothing to choose from", markup=False)
