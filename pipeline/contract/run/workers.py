"""What a stage offers to other processes, and what each of them is at.

While a stage shares its work, `<stage>/workers/` holds

    offer.json                  what there is to do now
    <token>/<work>/             leases of its parts, and parts that others have done
    <host>-<pid>.json           each worker's state

The folder goes when the stage ends, and stays when it is killed, to be gone on with.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from pipeline.contract.errors import UsageError
from pipeline.contract.files import Json, is_file_name, read_object, write_json
from pipeline.contract.run.freshness import Fingerprint
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

SHARED_STAGES = ("factors", "scores", "benchmark", "index", "validate", "prove")
"""The stages whose work is shared between workers, in the order of the pipeline."""
POLL_S = 0.2
"""Seconds between two looks at what there is to do."""
_PACKAGES = ("headwater", "kronfluence", "torch", "transformers")
"""Those whose versions decide what comes of a part."""


@dataclass(frozen=True)
class Offer:
    """What a stage lets other workers compute; the content of `offer.json`."""

    token: str
    """The same while what a worker has loaded stays good: the stage goes on with what it began."""
    fingerprint: Json
    """What the stage reads; see `freshness.Fingerprint`."""
    versions: Json
    """Of the packages that compute."""
    phase: str = ""
    """The work that there is to share, such as "ekfac lambda"; empty = none at the moment."""
    id: str = ""
    """Names the work together with all that decides its bits."""
    tokens: int = 0
    """Token budget of a batch."""
    settings: Json = field(default_factory=dict)
    """With what the stage has decided in the place of every "auto"."""

    def write(self, run: RunDir, stage: str) -> None:
        """Replaces the stage's offer."""
        write_json(run.offer(stage), asdict(self))


def read_offer(run: RunDir, stage: str) -> Offer | None:
    """What the stage offers; None where it is not at work, or offers something unreadable."""
    value = read_object(run.offer(stage))
    try:
        offer = require_types(Offer(**value)) if value else None
    except TypeError:  # of another version, which the stage itself replaces
        return None
    # they name folders, and others may have made the run
    if offer and not (is_file_name(offer.token) and is_file_name(offer.id or "none")):
        return None
    return offer


def versions() -> Json:
    """The versions of the packages that compute, by name."""
    return {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str | None:
    from importlib import metadata  # not before a dashboard's first paint

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def require_same(offer: Offer, stage: str, now: Fingerprint, run: RunDir) -> None:
    """Checks that a worker here would do the very parts that the stage is after.

    `now`: the stage's fingerprint as this worker sees the run.

    Raises:
        UsageError: it has other versions, settings or inputs.
    """
    here = versions()
    if differing := [name for name in here if here[name] != offer.versions.get(name)]:
        told = ", ".join(f"{n} {here[n]} here, {offer.versions.get(n)} there" for n in differing)
        hint = "install the same versions on every machine that works on a run"
        raise UsageError(f"this worker cannot help {stage} of {run.name}: {told}", hint)
    then = Fingerprint(**offer.fingerprint)
    if now == then:
        return
    if now.settings != then.settings:
        what = "settings.toml holds other settings than those"
    else:
        what = "the corpus, the model or other inputs are others than those"
    raise UsageError(
        f"this worker cannot help {stage} of {run.name}: {what} that the stage was started with",
        f"`headwater cancel {run.name}`, then `headwater resume {run.name}` starts it with these; "
        "or work in the very folder that the stage works in",
    )


@dataclass(frozen=True)
class WorkerState:
    """What a worker is at."""

    process: ProcessIdentity
    device: str
    phase: str = ""
    """Of the stage's work; empty = it waits for one."""
    part: int = 0
    """Which one, from 1; 0 = it waits for one."""
    parts: int = 0
    """How many the phase has."""
    part_seconds: float = 0.0
    """How long it has been at this part, by its own clock."""
    parts_done: int = 0
    """In all phases of the stage."""
    rate: float = 0.0
    """How much it does a second, over the parts of this phase that it has done."""
    unit: str = "examples"
    """What `rate` counts."""
    usual_seconds: float = 0.0
    """Of a part of this phase, over those that it has done; 0 where it has done none."""


def read_workers(run: RunDir) -> Iterator[tuple[str, WorkerState, float]]:
    """Stage and state of each worker, and seconds since its last sign of life.

    These are by the clocks of this machine and of the one that holds the folder.
    """
    for stage in SHARED_STAGES:
        for path in sorted(run.workers(stage).glob("*-*.json")):
            with suppress(OSError, KeyError, TypeError):
                value = read_object(path) or {}
                process = require_types(ProcessIdentity(**value.pop("process")))
                state = require_types(WorkerState(process=process, **value))
                yield stage, state, max(0.0, time.time() - path.stat().st_mtime)
