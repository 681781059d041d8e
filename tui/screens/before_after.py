"""From a run to the comparison with the one that it was cloned from."""

from __future__ import annotations

import asyncio

from textual import work

from pipeline.contract.run.run_dir import RunDir
from tui.screens.mixins.view import View

_NONE = "the run that this one was cloned from is not here; {runs.compare} in the list of runs "
_NONE += "puts any runs that {marks.mark} marked side by side"


class BeforeAfter(View[None]):
    """The key of a screen of one run."""

    _run: RunDir

    @work
    async def action_compare(self) -> None:
        """Puts both side by side, the one before first."""
        from pipeline.contract.run.manifest import cloned_from
        from tui.screens.compare import CompareScreen

        before = await asyncio.to_thread(cloned_from, self._run)
        if before is None:
            self.notify(self.told(_NONE), markup=False)
        else:
            self.app.push_screen(CompareScreen({before: 0, self._run: 1}))
