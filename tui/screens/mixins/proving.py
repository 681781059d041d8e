"""From a ranking to a verdict: the marked examples, or the first ones, are proven by retraining."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from textual import work
from textual.dom import DOMNode

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.proofs import STAGE
from pipeline.contract.run.proving import Claim, write_claim
from tui.readers.clean import clean, clean_lines
from tui.screens.dialogs.confirm import ConfirmDialog

if TYPE_CHECKING:
    from tui.commands import CommandedApp
    from tui.screens.mixins.taking import Taken

FIRST = 5
"""First examples that are proven where none is marked."""


class Proving(DOMNode):
    """The key of a screen that shows a ranking. It names `View` before this."""

    def chosen(self) -> Taken | None:
        """What can be proven: the prompt and the marked examples."""
        raise NotImplementedError

    @work
    async def action_prove(self) -> None:
        """Asks, with what it costs; then trains again, and shows how that goes."""
        from tui.processes.launcher import start_stages

        if (taken := self.chosen()) is None:
            return
        run = taken.run
        try:
            claim, text = await asyncio.to_thread(_claim, taken)
            question = ConfirmDialog("Prove it?", text, "train again", "not now")
            if not await self.app.push_screen_wait(question):
                return
            await asyncio.to_thread(write_claim, run, claim)
            await asyncio.to_thread(start_stages, run, (STAGE,))
        except HeadwaterError as error:
            self.app.notify(clean_lines(str(error)), severity="error", markup=False)
        else:
            cast("CommandedApp", self.app).open_run(run)


def _claim(taken: Taken) -> tuple[Claim, str]:
    """What is claimed, and what a person is told before it is tested."""
    from pipeline.contract.results.claims import Claims

    claims = Claims(taken.run)
    if taken.marked:
        corpus = taken.scored.corpus
        marked = claims.named([corpus.example(position).id for position in taken.marked])
        count = len(marked)
        origin = "the marked example" if count == 1 else f"the {count:,} marked examples"
    else:
        marked, origin = claims.first(taken.answer.id, FIRST), claims.first_told(FIRST)
    claim = claims.claim(taken.answer.id, marked, origin)
    text = (
        f"Prompt {clean(taken.answer.id)}, {clean(origin)}.\n\nThe model is trained again without "
        "them, without as many of the same length and gradient size, and without as many at "
        f"random: {claims.cost(claim)}."
    )
    return claim, text
