"""Choosing a ranking to put beside the one on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import work

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.run.run_dir import RunDir, list_runs
from tui.readers.clean import clean_lines
from tui.screens.dialogs.choice import Choice
from tui.screens.mixins.picking import Picking

if TYPE_CHECKING:
    from tui.readers.beside import Ranked

    _Take = Callable[[Ranked], None]

_WAYS = (
    Choice("another method", "of this prompt, in this run"),
    Choice("another prompt", "by this method, in this run"),
    Choice("another run", "this prompt, by this method where the run has it"),
)


class Comparing(Picking):
    """Asks for the other ranking. A screen names `View` before this."""

    def compare(self, here: Ranked, take: _Take) -> None:
        """`take` gets the ranking that a person wants beside this one, if they want any."""
        ways = (self._method, self._prompt, self._other_run)
        self.offer("Beside", _WAYS, lambda way: ways[way](here, take))

    def _method(self, here: Ranked, take: _Take) -> None:
        self.pick(here.scored.names, here.name, lambda name: take(replace(here, name=name)))

    def _prompt(self, here: Ranked, take: _Take) -> None:
        answers = [answer for answer in here.answers if answer.id != here.prompt_id]
        choices = [Choice(answer.prompt, answer.completion.strip()) for answer in answers]
        self.offer(
            "Beside the prompt",
            choices,
            lambda chosen: take(replace(here, prompt_id=answers[chosen].id)),
        )

    @work(exclusive=True, group="comparing", name="action_other_run")
    async def _other_run(self, here: Ranked, take: _Take) -> None:
        runs = await asyncio.to_thread(_scored_runs, here.run)
        if self.app.screen is self.screen:
            choices = [Choice(run.name, "") for run in runs]
            self.offer("Beside the run", choices, lambda n: self._of_run(runs[n], here, take))

    @work(exclusive=True, group="comparing", name="action_of_run")
    async def _of_run(self, run: RunDir, here: Ranked, take: _Take) -> None:
        try:
            other = await asyncio.to_thread(_ranked, run, here)
        except HeadwaterError as error:
            self.app.notify(clean_lines(str(error)), severity="error", markup=False)
        else:
            if self.app.screen is self.screen:
                take(other)


def _scored_runs(run: RunDir) -> list[RunDir]:
    """The other runs beside this one that have scores."""
    others = list_runs(run.root.resolve().parent)
    return [other for other in others if other.name != run.name and other.lookup.exists()]


def _ranked(run: RunDir, like: Ranked) -> Ranked:
    """The ranking of the same prompt in another run.

    Raises:
        UsageError: the run has another prompt of that id, or none.
        MissingResultError, DamagedResultError: its rankings cannot be read.
    """
    from tui.readers.beside import Ranked
    from tui.readers.ranking_reader import RankingReader

    reader = RankingReader(run)
    overview, scored = reader.overview(), reader.scored()
    wanted = (like.answer.prompt, like.answer.completion)
    same = [one.id for one in overview.answers if (one.prompt, one.completion) == wanted]
    if not same:
        raise UsageError(f"run {run.name} has not scored this prompt with this completion")
    name = like.name if like.name in scored.names else overview.default_method
    return Ranked(run, reader, scored, overview.answers, same[0], name)
