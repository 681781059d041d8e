"""Prints a run's progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as ProgressBar

from pipeline.contract.run.attempts import STANDING, read_attempts
from pipeline.contract.run.events import (
    Cancelled,
    Event,
    EventReader,
    Failed,
    Finished,
    Note,
    Progress,
    Started,
    Warned,
)
from pipeline.contract.run.freshness import is_fresh
from pipeline.contract.run.processes import SupervisorState
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import stages_job
from pipeline.contract.run.slurm_words import ending
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.units import duration
from tui.processes.launcher import refuse_full_disk, start_stages
from tui.processes.slurm import is_under_way, stop
from tui.readers.clean import clean, clean_lines

_POLL_S = 0.25
_PLAIN_INTERVAL_S = 10.0


def from_now(run: RunDir) -> EventReader:
    """A reader of the run's events from now on."""
    events = EventReader(run.events)
    events.skip()
    return events


def follow(run: RunDir, events: EventReader) -> int:
    """Prints events until the supervisor is done; returns its exit code.

    Ctrl-C asks the stage to stop, a second one kills it.

    Raises:
        ResourceError: it failed and could not write why, for the disk is full.
    """
    with _narrator() as narrator:
        while True:
            try:
                working = is_under_way(run)
                for event in events.stream():
                    narrator.tell(event)
                if not working:
                    code = _exit_code(run)
                    if code and not _explained(run):
                        narrator.say(_silence(run))
                    return code
                time.sleep(_POLL_S)
            except KeyboardInterrupt:
                stop(run)
                narrator.say("stopping; press Ctrl-C again to kill")


def _exit_code(run: RunDir) -> int:
    found = stages_job(run)
    if found and (ended := ending(found[1], run.name)):
        return 130 if ended[0] == "cancelled" else 1
    state = SupervisorState.read(run)
    return state.exit_code if state and state.exit_code is not None else 1


def _explained(run: RunDir) -> bool:
    """Whether a stage that failed wrote why."""
    endings = (attempt.ending for attempt in read_attempts(run, STANDING).values())
    return any(isinstance(ending, Failed | Cancelled) for ending in endings)


def _silence(run: RunDir) -> str:
    """What to print of stages that failed without a message."""
    refuse_full_disk(run)
    found = stages_job(run)
    if found and (ended := ending(found[1], run.name)):
        return ended[1]
    return f"ended without a word; `headwater status {run.name}` says what is known"


class _PlainNarrator:
    """Lines for a log: the start and end of every stage, progress now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spoken = 0.0

    def say(self, text: str) -> None:
        self._console.print(clean_lines(text), markup=False, highlight=False, soft_wrap=True)

    def tell(self, event: Event) -> None:
        if isinstance(event, Progress) and not self._due():
            return
        if text := describe(event):
            self.say(text)

    def _due(self) -> bool:
        due = time.monotonic() - self._spoken >= _PLAIN_INTERVAL_S
        if due:
            self._spoken = time.monotonic()
        return due


class _BarNarrator(_PlainNarrator):
    """One bar that is redrawn, with the other events scrolling by above it."""

    def __init__(self, progress: ProgressBar) -> None:
        super().__init__(progress.console)
        self._progress = progress
        self._bar: TaskID | None = None
        self._shown = ""
        """The stage that the bar is of."""

    def tell(self, event: Event) -> None:
        if not isinstance(event, Progress):
            if isinstance(event, Finished | Failed | Cancelled):
                self._clear()
            super().tell(event)
            return
        if event.stage != self._shown:
            self._clear()
            self._shown = event.stage
            self._bar = self._progress.add_task("", total=1.0)
        if self._bar is not None:
            self._progress.update(
                self._bar,
                completed=event.share or 0.0,
                description=_what(event),
                left=_left(event),
            )

    def _clear(self) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
        self._bar, self._shown = None, ""


def bring_up_to_date(stage: str, run: RunDir) -> None:
    """Runs the stage unless it is up to date, printing its progress; exits if it fails."""
    if not is_fresh(stage, load_settings(run.settings), run):
        events = from_now(run)
        start_stages(run, (stage,))
        if code := follow(run, events):
            sys.exit(code)


@contextmanager
def _narrator() -> Iterator[_PlainNarrator]:
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _PlainNarrator(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[left]}", markup=False),
    )
    with ProgressBar(*columns, console=console, transient=True, refresh_per_second=4) as progress:
        yield _BarNarrator(progress)


def describe(event: Event) -> str:
    """One line for an event, or nothing for those that only a chart wants."""
    match event:
        case Started(stage, attempt=attempt):
            again = f" (attempt {attempt})" if attempt > 1 else ""
            return f"{stage}: {STAGES[stage].title}{again}"
        case Progress(share=share):
            of_all = f"  {share:.0%}  {_left(event)}" if share else ""
            return f"{_what(event)}{of_all}".rstrip()
        case Note(stage, message=message):
            return f"{stage}: {clean(message)}"
        case Warned(stage, message=message):
            return f"{stage}: warning: {clean(message)}"
        case Finished(stage, seconds=seconds):
            return f"{stage}: done in {duration(seconds)}"
        case Failed(stage, message=message, hint=hint):
            return "\n  ".join(filter(None, [f"{stage}: failed: {clean(message)}", clean(hint)]))
        case Cancelled(stage):
            return f"{stage}: cancelled"
        case _:
            return ""


def _what(progress: Progress) -> str:
    phase = f" · {progress.phase}" if progress.phase else ""
    counted = ""
    if progress.total:
        counted = f" {progress.done:,.0f} of {progress.total:,.0f} {progress.unit}"
    elif progress.done:
        counted = f" {progress.done:,.0f} {progress.unit}"
    return f"{progress.stage}{phase}{counted}"


def _left(progress: Progress) -> str:
    return f"{duration(progress.eta)} left" if progress.eta else ""
