"""Taking examples out of a ranking: into a file, or to the clipboard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work
from textual.app import App
from textual.dom import DOMNode
from textual.worker import get_current_worker

from pipeline.contract.files import expanded, write_text
from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from tui.export import Stopped, proposed, records_fault, write_records
from tui.readers.clean import clean, clean_lines
from tui.screens.dialogs.confirm import TextDialog
from tui.widgets.banner import Banner

if TYPE_CHECKING:
    import numpy as np
    from textual.notifications import SeverityLevel

    from tui.readers.listing import Listing
    from tui.readers.records import Record
    from tui.readers.sources import ScoredExamples

_CLIPBOARD_BYTES = 74_000
"""What every terminal takes by OSC 52: xterm's limit is 100,000 letters of base64."""
_STEP = 20_000
"""Examples between two words on how far an export is."""


@dataclass(frozen=True)
class Taken:
    """What is there to take, and from where."""

    run: RunDir
    scored: ScoredExamples
    answer: GreedyAnswer
    listing: Listing
    position: int | None
    """The example under the cursor."""
    marked: frozenset[int]
    name: str = ""
    """Begins the name of a file; the prompt's id where it is empty."""
    question: Query | None = None
    """What was asked, with its answer, where it is no prompt of the run."""

    def positions(self, only_marked: bool) -> np.ndarray:
        """The marked examples, highest first; all that are shown, in their order, where none is
        marked or all are wanted."""
        import numpy as np

        if not (self.marked and only_marked):
            return self.listing.positions()
        marked = np.array(sorted(self.marked))
        return marked[np.argsort(-self.listing.ranking.scores[marked], kind="stable")]

    def proposed(self) -> str:
        """A file that is not there yet."""
        return proposed(
            self.run, f"{self.name or self.answer.id}-{self.listing.ranking.name}", ".csv"
        )


class Taking(DOMNode):
    """The keys of a screen that shows examples. It names `View` before this."""

    def chosen(self) -> Taken | None:
        """What there is to take now: the screen's own."""
        raise NotImplementedError

    @work
    async def action_export(self, only_marked: bool) -> None:
        """Writes examples to a file that is asked for."""
        taken = self.chosen()
        if taken is None:
            return
        positions = taken.positions(only_marked)
        which = "marked" if taken.marked and only_marked else "shown"
        title = f"Export {len(positions):,} {which}"
        hint = "A .csv, .jsonl or .parquet file, with text and every score."

        def fault(text: str) -> str:
            return records_fault(text, taken.run.exports)

        given = await self.app.push_screen_wait(TextDialog(title, taken.proposed(), fault, hint))
        if given is not None:
            target = expanded(given.strip())
            export = partial(_write, self.app, taken, positions, target)
            self.app.run_worker(export, group="export", thread=True)

    @work
    async def action_copy(self) -> None:
        """Sends texts to the terminal's clipboard, which gives no answer, and writes them to a file
        for terminals that refuse."""
        taken = self.chosen()
        if taken is None or taken.position is None:
            return
        corpus, path = taken.scored.corpus, taken.run.exports / "copied.txt"
        positions = taken.positions(True).tolist() if taken.marked else [taken.position]
        text = "\n\n".join(clean_lines(corpus.text(position)) for position in positions)
        try:
            await asyncio.to_thread(write_text, path, text + "\n")
        except OSError as error:
            message = f"no file beside the clipboard: {error}"
        else:
            message = f"also in {path.resolve()}"
        what = "the text" if len(positions) == 1 else f"{len(positions):,} texts"
        if len(text.encode()) > _CLIPBOARD_BYTES:
            message = f"{what}: too long for a terminal's clipboard; {message}"
        else:
            self.app.copy_to_clipboard(text)
            message = f"{what}: sent to the terminal's clipboard; {message}"
        self.app.notify(clean(message), title="Copied", markup=False)


def _write(app: App[object], taken: Taken, positions: np.ndarray, path: Path) -> None:
    """Writes the file in a thread, whatever screen is looked at meanwhile."""
    from tui.readers.records import columns, records

    def say(text: str, title: str, severity: SeverityLevel = "information") -> None:
        app.call_from_thread(app.notify, text, title=title, severity=severity, markup=False)

    rows = records(taken.scored, taken.answer, taken.listing, positions)
    try:
        write_records(path, columns(taken.scored), _told(app, rows, len(positions)))
    except Stopped:
        return
    except (OSError, ValueError) as error:
        say(clean(str(error)), "not written", "error")
    else:
        told = "1 example is" if len(positions) == 1 else f"{len(positions):,} examples are"
        say(f"{told} in {clean(str(path.resolve()))}", "Exported")
    app.call_from_thread(_show_progress, app, "")


def _told(app: App[object], rows: Iterator[Record], total: int) -> Iterator[Record]:
    """The rows, with a word now and then on how many there were.

    Raises:
        Stopped: the program was left.
    """
    worker = get_current_worker()
    for number, row in enumerate(rows):
        if worker.is_cancelled:
            raise Stopped
        if number and number % _STEP == 0:
            app.call_from_thread(_show_progress, app, f"exporting {number:,} of {total:,}")
        yield row


def _show_progress(app: App[object], progress: str) -> None:
    """In the first line of every screen: a person may go on to another."""
    for screen in app.screen_stack:
        for banner in screen.query(Banner):
            banner.progress = progress
