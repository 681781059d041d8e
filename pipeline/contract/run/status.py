"""What has become of each stage of a run, read from its folder alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.contract.files import read_json
from pipeline.contract.run.events import Event, EventReader
from pipeline.contract.run.freshness import Look
from pipeline.contract.run.processes import SupervisorState, is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import GROUPS, OPTIONAL, STAGES, upstream

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

State = Literal[
    "waiting", "queued", "running", "stopping", "done", "stale", "failed", "cancelled", "lost"
]


@dataclass(frozen=True)
class StageStatus:
    """One line of the status screen."""

    stage: str
    state: State
    """waiting = never run; queued = the supervisor will start it; stale = finished, but with
    other settings or inputs than now; lost = its process is gone and left no word."""
    seconds: float | None = None
    """How long it has run, or took."""
    done: float | None = None
    total: float | None = None
    unit: str = ""
    phase: str = ""
    eta: float | None = None
    """Seconds still to go, as the stage itself reckons."""
    message: str = ""
    """Why it failed, and what to do."""
    warnings: int = 0

    asked: bool = False
    """Whether anybody has asked for it, by its name or with a group."""

    @property
    def unasked(self) -> bool:
        """An optional stage that nobody has asked for yet."""
        return self.state == "waiting" and self.stage in OPTIONAL and not self.asked


def left_over(statuses: Iterable[StageStatus]) -> tuple[str, ...]:
    """What finishes everything that was asked for: the stages that were begun or asked for and are
    not up to date, and what these need."""
    unfinished = {s.stage: s for s in statuses if s.state != "done"}
    left = {s.stage for s in unfinished.values() if s.state != "waiting" or s.asked}
    needed = left.union(*map(upstream, left)) & set(unfinished)
    return tuple(name for name in STAGES if name in needed)


def run_status(
    run: RunDir, settings: Settings, events: Iterable[Event] | None = None
) -> list[StageStatus]:
    """The status of every stage; `events` where the caller has read them already."""
    told = list(events) if events is not None else EventReader(run.events).read()
    supervisor = SupervisorState.read(run)
    working, look = is_locked(run), Look(settings, run)
    return [
        _stage_status(name, run, look, supervisor, working, _last_attempt(name, told))
        for name in STAGES
    ]


def _last_attempt(stage: str, events: list[Event]) -> list[Event]:
    """The events of the stage since it last started, that start included."""
    attempt: deque[Event] = deque()
    for event in events:
        if event.stage == stage:
            if event.type == "started":
                attempt.clear()
            attempt.append(event)
    return list(attempt)


def _stage_status(
    stage: str,
    run: RunDir,
    look: Look,
    supervisor: SupervisorState | None,
    working: bool,
    attempt: list[Event],
) -> StageStatus:
    unfinished = supervisor if supervisor and supervisor.exit_code is None else None
    began = 0.0
    if unfinished and working and stage in _ahead(unfinished):
        state, message = _state_at_work(stage, run, unfinished), ""
        if stage == unfinished.stage:
            began = unfinished.stage_started
            attempt = [event for event in attempt if event.time >= began]  # no earlier attempt's
    else:
        lost = unfinished is not None and not working and unfinished.stage == stage
        state, message = _state_at_rest(stage, run, look, attempt, lost)
    progress = next((e.data for e in reversed(attempt) if e.type == "progress"), {})
    done = look.done(stage)
    seconds = done.seconds if done else None
    if began:
        seconds = time.time() - began
    return StageStatus(
        stage=stage,
        state=state,
        seconds=seconds,
        done=progress.get("done"),
        total=progress.get("total"),
        unit=progress.get("unit", ""),
        phase=progress.get("phase", ""),
        eta=progress.get("eta") if state == "running" else None,
        message=message,
        asked=stage in _asked(supervisor),
        warnings=sum(event.type == "warning" for event in attempt),
    )


def _asked(supervisor: SupervisorState | None) -> tuple[str, ...]:
    """Of runs of old it is not known: of these everything that is not optional."""
    return (supervisor.asked if supervisor else ()) or GROUPS["all"]


def _ahead(supervisor: SupervisorState) -> tuple[str, ...]:
    """The stage at work and those that will follow it."""
    if supervisor.stage in supervisor.stages:
        return supervisor.stages[supervisor.stages.index(supervisor.stage) :]
    return supervisor.stages


def _state_at_work(stage: str, run: RunDir, supervisor: SupervisorState) -> State:
    if stage != supervisor.stage:
        return "queued"
    return "stopping" if run.cancel_request.exists() else "running"


def _state_at_rest(
    stage: str, run: RunDir, look: Look, attempt: list[Event], lost: bool
) -> tuple[State, str]:
    """`lost`: the supervisor was killed while this stage ran."""
    if look.done(stage):
        return ("done" if look.is_fresh(stage) else "stale"), ""
    ending = attempt[-1] if attempt else None
    if ending and ending.type == "cancelled":
        return "cancelled", str(ending.data.get("message", ""))
    if ending and ending.type == "failed":
        return "failed", "\n".join(filter(None, [ending.data["message"], ending.data["hint"]]))
    exit_record = read_json(run.exit(stage))
    if isinstance(exit_record, dict):
        if exit_record["state"] == "done":  # of the attempt that `run --force` has forgotten
            return "lost", "it was to run again and has not; `headwater resume` runs it"
        return exit_record["state"], exit_record["reason"]
    if lost or attempt:
        return "lost", "its process is gone and left no word; `headwater resume` goes on from there"
    return "waiting", ""
