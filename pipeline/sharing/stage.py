"""How the work of a stage is shared between workers: who does which part.

The process of the stage is the first worker. It says what there is to do, takes parts like the
others, collects what they publish, and alone merges: in the order of the parts, so that it makes no
difference who has done them. Parts do not depend on the number of workers either.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from pipeline.contract.errors import UsageError
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.leases import Lease
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import POLL_S, Offer, read_offer, versions
from pipeline.contract.settings.schema import Settings
from pipeline.sharing.local_workers import local_workers, workers_here
from pipeline.sharing.part_folder import PartFolder
from pipeline.sharing.presence import Presence
from pipeline.sharing.work import Part, Work

Counted = Callable[[int], object]
"""Hears how much of `Work.total` others have done."""


class Sharing(Protocol):
    """Says which parts of some work this process does, and where it writes them."""

    @property
    def merges(self) -> bool:
        """Whether this process merges the parts at the end."""

    def tokens(self, wanted: int) -> int:
        """The token budget of a batch, where this process would take `wanted`."""

    def parts(
        self, work: Work, tokens: int, settings: Settings, counted: Counted
    ) -> Generator[Part]:
        """Parts to do; each has been saved when the next is asked for.

        `settings`: with what was decided; `counted` hears of what others have done.
        """

    def place(self, path: Path) -> Path:
        """Where a file is written that one worker alone would write at this path."""


class SharedStage:
    """The stage's side: offers work, does its share, collects and merges."""

    merges = True

    def __init__(
        self,
        stage: str,
        run: RunDir,
        offer: Offer,
        events: EventWriter,
        presence: Presence,
        workers: int,
    ) -> None:
        """`workers`: on this machine, this process among them."""
        self.workers = workers
        self._stage, self._run, self._offer = stage, run, offer
        self._events, self._presence = events, presence
        self._me = ProcessIdentity.of(os.getpid())

    def tokens(self, wanted: int) -> int:
        """As the stage's own settings and memory say; other workers take it over."""
        return wanted

    def place(self, path: Path) -> Path:
        """That very path."""
        return path

    def parts(
        self, work: Work, tokens: int, settings: Settings, counted: Counted
    ) -> Generator[Part]:
        """See `Sharing`; ends when every part is there."""
        offer = replace(
            self._offer,
            phase=work.phase,
            id=work.id(tokens),
            tokens=tokens,
            settings=settings.model_dump(mode="json"),
        )
        folder = work_folder(self._run, self._stage, offer)
        folder.mkdir(parents=True, exist_ok=True)
        work.begin(folder)
        shared = PartFolder(folder, work, self._me)
        offer.write(self._run, self._stage)
        left = [part for part in work.parts if not work.has(part)]
        for part in set(work.parts) - set(left):
            shared.mark(part)
        try:
            while left := self._collect(left, shared, work, counted):
                if found := _take_one(shared, left):
                    part, lease = found
                    with lease, self._presence.at(work, part):
                        yield part
                        shared.mark(part)
                    left.remove(part)
                else:
                    time.sleep(POLL_S)
        finally:
            self._offer.write(self._run, self._stage)

    def _collect(
        self, left: list[Part], shared: PartFolder, work: Work, counted: Counted
    ) -> list[Part]:
        """Takes in what others have published; gives the parts that are still to be done."""
        missing = []
        for part in left:
            found = shared.collect(part)
            if found:
                counted(work.total // len(work.parts))
            else:
                missing.append(part)
            if found is False:
                self._events.warning(
                    f"{work.phase}: partition {part}, by another worker, was damaged; it is "
                    "computed again"
                )
        return missing


class Helper:
    """Another worker's side: does parts of what is offered and publishes them."""

    merges = False

    def __init__(self, stage: str, run: RunDir, offer: Offer, presence: Presence) -> None:
        self._stage, self._run, self._offer, self._presence = stage, run, offer, presence
        self._me = ProcessIdentity.of(os.getpid())
        self._staged: Path | None = None

    def tokens(self, wanted: int) -> int:
        """Those of the stage: sums depend in their last bits on what is added up at once."""
        return self._offer.tokens

    def place(self, path: Path) -> Path:
        """In the part's own folder."""
        assert self._staged, f"{path} is the stage's to write"
        return self._staged / path.name

    def parts(
        self, work: Work, tokens: int, settings: Settings, counted: Counted
    ) -> Generator[Part]:
        """See `Sharing`; ends when nothing is left or the stage does something else.

        Raises:
            UsageError: the work is other work here than in the stage.
        """
        if work.id(self._offer.tokens) != self._offer.id:
            raise UsageError(
                f"this worker cannot help {self._stage} of {self._run.name}: {work.phase} has "
                "other arguments here than there",
                "install the same versions on every machine that works on a run",
            )
        return self._computed(PartFolder(self.folder, work, self._me), work)

    @property
    def folder(self) -> Path:
        """Of the work that is offered."""
        return work_folder(self._run, self._stage, self._offer)

    def _computed(self, shared: PartFolder, work: Work) -> Generator[Part]:
        while self._is_wanted():
            left = [part for part in work.parts if not shared.is_done(part)]
            if not left:
                return
            if found := _take_one(shared, left):
                part, lease = found
                with lease, self._presence.at(work, part):
                    self._staged = shared.stage(part)
                    try:
                        yield part
                        shared.publish(self._staged, part)
                    finally:
                        shutil.rmtree(self._staged, ignore_errors=True)
                        self._staged = None
            else:
                time.sleep(POLL_S)

    def _is_wanted(self) -> bool:
        return read_offer(self._run, self._stage) == self._offer


@contextmanager
def own_parts(
    work: Work, sharing: Sharing | None, settings: Settings, counted: Counted
) -> Iterator[Iterator[Part]]:
    """Context of the parts that this process does: with nobody to share them, all that are left."""
    if sharing is None:
        yield (part for part in work.parts if not work.has(part))
        return
    with closing(sharing.parts(work, 0, settings, counted)) as parts:
        yield parts


def work_folder(run: RunDir, stage: str, offer: Offer) -> Path:
    """Where the parts of offered work are shared."""
    return run.workers(stage) / offer.token / offer.id


def _take_one(shared: PartFolder, parts: list[Part]) -> tuple[Part, Lease] | None:
    """The first that can be had."""
    for part in parts:
        if lease := shared.take(part):
            return part, lease
    return None


@contextmanager
def shared_stage(
    stage: str,
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    device: str,
    workers: int | None = None,
) -> Iterator[SharedStage]:
    """Context in which other workers may help a stage; ends what it began there.

    `workers`: on this machine; None = `run.workers`.
    """
    fingerprint = asdict(RunFreshness(settings, run).fingerprint(stage))
    before = read_offer(run, stage)
    if before and (before.fingerprint, before.versions) == (fingerprint, versions()):
        token = before.token  # of an attempt that was killed: what was published for it is good
    else:
        token = secrets.token_hex(8)
        shutil.rmtree(run.workers(stage), ignore_errors=True)
    offer = Offer(token, fingerprint, versions())
    count = workers or workers_here(settings, device)
    if count > 1 and (whole := _whole_passes(stage, settings)):
        events.warning(
            f"{count} workers share the stage, but one worker alone does the passes with "
            f"{' and '.join(f'{name} = 1' for name in whole)}: 16, say, lets all help. Partitions "
            "are not chosen by themselves, so that results do not depend on the number of workers"
        )
    (run.workers(stage) / token).mkdir(parents=True, exist_ok=True)
    offer.write(run, stage)  # before a worker looks for it
    try:
        with (
            Presence(stage, run, device) as presence,
            local_workers(stage, run, count - 1),
        ):
            yield SharedStage(stage, run, offer, events, presence, count)
    finally:
        shutil.rmtree(run.workers(stage), ignore_errors=True)


def _whole_passes(stage: str, settings: Settings) -> list[str]:
    """Settings for which a pass stays in one piece although there are several workers."""
    passes = {"factors": ("covariance_", "lambda_"), "scores": ("",)}.get(stage, ())
    section = getattr(settings, stage, None)
    return [
        f"{stage}.{name}data_partitions"
        for name in passes
        if getattr(section, f"{name}data_partitions") == 1
        and getattr(section, f"{name}module_partitions") == 1
    ]
