"""From a ranking to a verdict: the marked examples, or the first that are shown, are proven."""

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
"""Examples at the top of what is shown that are proven where none is marked."""


class Proving(DOMNode):
    """The key of a screen that shows a ranking. It names `View` before this."""

    def chosen(self) -> Taken | None:
        """What can be proven: the prompt or the question, and the examples."""
        raise NotImplementedError

    @work
    async def action_prove(self) -> None:
        """Asks, with what it costs; then trains again, and shows how that goes."""
        from tui.processes.launcher import start_stages

        if (taken := self.chosen()) is None:
            self.app.notify("there are no ranked examples here yet", markup=False)
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

    claims, corpus = Claims(taken.run), taken.scored.corpus
    positions = sorted(taken.marked) or taken.listing.positions()[:FIRST].tolist()
    marked = claims.named([corpus.example(position).id for position in positions])
    origin = _origin(taken, len(marked))
    claim = claims.claim(taken.question or taken.answer.id, marked, origin)
    asked = f"“{' '.join(taken.answer.prompt.split())}”"
    what = clean(asked, 60) if taken.question else clean(claim.prompt)
    text = (
        f"{what}: {clean(origin)}.\n\nThe model is trained again without them, without as many of "
        "the same length and gradient size, and without as many at random: "
        f"{claims.cost(claim)}."
    )
    return claim, text


def _origin(taken: Taken, count: int) -> str:
    """How the examples were chosen."""
    if taken.marked:
        [first, *others] = taken.marked
        one = f"the example {taken.scored.corpus.example(first).id}"
        return f"the {count:,} marked examples" if others else one
    listing = taken.listing
    # of an answer in Ask only the first examples are known, not the other end
    is_part = len(listing) < listing.ranking.count or (taken.question and listing.reverse)
    if listing.sort != "score" or is_part:
        return f"the first {count:,} shown"
    end = "last" if listing.reverse else "first"
    return f"the {end} {count:,} by {listing.ranking.name}"
