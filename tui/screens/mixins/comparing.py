"""Putting the ranking on the screen beside another one, which a person chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.run.run_dir import RunDir, list_runs
from tui.readers.clean import clean_lines
from tui.screens.dialogs.choice import Choice, ChoiceDialog
from tui.screens.mixins.picking import Picking

if TYPE_CHECKING:
    from tui.readers.beside import Ranked

_WAYS = (
    Choice("another method", "of this prompt, in this run"),
    Choice("another prompt", "by this method, in this run"),
    Choice("another run", "this prompt, by this method where the run has it"),
)


class Comparing(Picking):
    """Asks for the other ranking. A screen names `View` before this."""

    async def compared_with(self, here: Ranked) -> Ranked | None:
        """The ranking that a person wants beside this one; None where they want none."""
        way = await self._one_of("Beside", _WAYS)
        if way is None:
            return None
        try:
            return await (self._method, self._prompt, self._other_run)[way](here)
        except HeadwaterError as error:
            self.app.notify(clean_lines(str(error)), severity="error", markup=False)
            return None

    async def _method(self, here: Ranked) -> Ranked | None:
        name = await self.picked(here.scored.names, here.name)
        return replace(here, name=name) if name else None

    async def _prompt(self, here: Ranked) -> Ranked | None:
        answers = [answer for answer in here.answers if answer.id != here.prompt_id]
        choices = [Choice(answer.prompt, answer.completion.strip()) for answer in answers]
        chosen = await self._one_of("Beside the prompt", choices)
        return None if chosen is None else replace(here, prompt_id=answers[chosen].id)

    async def _other_run(self, here: Ranked) -> Ranked | None:
        runs = await asyncio.to_thread(_scored_runs, here.run)
        chosen = await self._one_of("Beside the run", [Choice(run.name, "") for run in runs])
        return None if chosen is None else await asyncio.to_thread(_ranked, runs[chosen], here)

    async def _one_of(self, title: str, choices: Sequence[Choice]) -> int | None:
        if not choices:
            raise UsageError("there is nothing else to compare with")
        if self.app.screen is not self.screen:
            return None
        return await self.app.push_screen_wait(ChoiceDialog(title, choices))


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
