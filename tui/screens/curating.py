"""From a prompt or a set to the training data sorted by it."""

from __future__ import annotations

from textual.dom import DOMNode

from pipeline.contract.results.sets import set_of_row
from pipeline.contract.run.run_dir import RunDir


class Curating(DOMNode):
    """The key of a screen that lists prompts. It names `View` before this."""

    _run: RunDir

    @property
    def sorts_by(self) -> str | None:
        """The prompt under the cursor, or what its set is called among them."""
        raise NotImplementedError

    @property
    def sorts_method(self) -> str:
        """The method that is looked at; empty = the run's own."""
        return ""

    def action_curate(self) -> None:
        """Shows what of the training data would go."""
        from pipeline.contract.results.curation import CurationRequest
        from tui.screens.curate import FIRST, CurateScreen

        if (chosen := self.sorts_by) is None:
            return
        of_set = set_of_row(chosen)
        request = CurationRequest(
            run_folder=str(self._run.root),
            of_set=of_set or "",
            prompts=() if of_set else (chosen,),
            method=self.sorts_method,
            drop=FIRST,
        )
        self.app.push_screen(CurateScreen(self._run, request))
