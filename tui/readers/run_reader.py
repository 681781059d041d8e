"""What a screen shows of one run, read again every second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results import learning_curves as training
from pipeline.contract.results.proofs import STAGE as PROOF
from pipeline.contract.run.events import Memory
from pipeline.contract.run.processes import SupervisorState, is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import is_submitted
from pipeline.contract.run.status import StageStatus, headline_stage, run_status
from tui.readers.curve import Curve
from tui.readers.history import RunHistory
from tui.readers.workers import SeenWorker, seen_workers

if TYPE_CHECKING:
    from pipeline.contract.settings.schema import Settings

_LOOK_S = 0.4
"""After this long a look shows what it has of a long past."""


@dataclass(frozen=True)
class RunSnapshot:
    """One look at a run. `curves` go on growing after the look."""

    name: str
    stages: tuple[StageStatus, ...] = ()
    working: bool = False
    pid: int | None = None
    """The process of the stage at work."""
    loss: Curve = field(default_factory=Curve)
    validation_loss: Curve = field(default_factory=Curve)
    metrics: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    """Every curve that has readings, by stage and name."""
    clocks: Mapping[str, Curve] = field(default_factory=dict)
    """Stage → when each of its steps was, seconds since the epoch."""
    memory: dict[str, Memory] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Stage → what its last attempt warned of, the last first."""
    workers: Mapping[str, tuple[SeenWorker, ...]] = field(default_factory=dict)
    """Stage → who shares its work."""
    read_share: float = 1.0
    """How much of the metrics' readings was read, of 1: the next look goes on."""
    trouble: str = ""
    """Why the run cannot be read, and what to do."""
    model: str = ""
    data: str = ""
    """Of its settings, as a list names them; empty where they were not read."""
    last_time: float = 0.0
    """When its newest event came, seconds since the epoch; 0 where there is none."""

    @property
    def at_work(self) -> StageStatus | None:
        """The stage that runs now."""
        return next((stage for stage in self.stages if stage.at_work), None)

    @property
    def headline_stage(self) -> StageStatus | None:
        """The stage that says most about the run."""
        return headline_stage(self.stages)

    @property
    def is_whole(self) -> bool:
        """Whether it is known which results are up to date."""
        return all(stage.state != "finished" for stage in self.stages)

    def stage(self, name: str) -> StageStatus | None:
        """A stage by its name."""
        return next((stage for stage in self.stages if stage.stage == name), None)


class RunReader:
    """Reads a run again and again; each time only what is new. Not for two threads at once."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._history = RunHistory(run)
        self._settings: tuple[tuple[int, int], Settings] | None = None
        self._made_of = ("", "")

    def glance(self) -> RunSnapshot:
        """How the run stands, as far as its settings need not be read for it: they take longer than
        the first paint."""
        try:
            self._history.update(_LOOK_S)
            return self._snapshot(self._stages(None))
        except (HeadwaterError, OSError, KeyError, TypeError, ValueError):
            return RunSnapshot(self._run.name)  # the look that follows says why

    def read(self) -> RunSnapshot:
        """How the run stands now; a run that cannot be read says so instead of raising."""
        run = self._run
        if not run.root.is_dir():
            return RunSnapshot(run.name, trouble=f"the run folder {run.root} is not there any more")
        try:
            self._history.update(_LOOK_S)
            settings = self._load_settings()
            return self._snapshot(self._stages(settings))
        except (HeadwaterError, OSError) as error:
            return self._snapshot([], str(error))
        except (KeyError, TypeError, ValueError) as error:  # a file of another shape than ours
            return self._snapshot([], f"a file of the run cannot be read: {error!r}")

    def _stages(self, settings: Settings | None) -> list[StageStatus]:
        """All but a proof that nobody has asked for: it begins at a ranking, not in the list."""
        stages = run_status(self._run, settings, self._history.attempts)
        return [one for one in stages if one.stage != PROOF or self._run.claim.exists()]

    def _workers(self) -> dict[str, tuple[SeenWorker, ...]]:
        found: dict[str, tuple[SeenWorker, ...]] = {}
        for worker in seen_workers(self._run):
            found[worker.stage] = (*found.get(worker.stage, ()), worker)
        return found

    def _load_settings(self) -> Settings:
        from pipeline.contract.settings.loading import (
            load_settings,  # takes longer than the first paint
        )
        from tui.readers.run_facts import data_of, model_of

        try:
            status = self._run.settings.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except FileNotFoundError:
            stamp = (0, 0)
        if self._settings is None or self._settings[0] != stamp:
            self._settings, self._made_of = None, ("", "")
            self._settings = (stamp, load_settings(self._run.settings))
            self._made_of = (model_of(self._settings[1]), data_of(self._settings[1]))
        return self._settings[1]

    def _snapshot(self, stages: Sequence[StageStatus], trouble: str = "") -> RunSnapshot:
        history, run = self._history, self._run
        supervisor = SupervisorState.read(run) if stages else None
        process = supervisor.stage_process if supervisor else None
        return RunSnapshot(
            name=run.name,
            stages=tuple(stages),
            working=is_locked(run) or is_submitted(run),
            pid=process.pid if process and process.is_alive() else None,
            loss=history.curve(training.STAGE, training.LOSS),
            validation_loss=history.curve(training.STAGE, training.VALIDATION_LOSS),
            metrics=history.metrics(),
            clocks=history.clocks(),
            memory=history.memory(),
            read_share=history.share,
            warnings=history.warnings(),
            workers=self._workers(),
            trouble=trouble,
            model=self._made_of[0],
            data=self._made_of[1],
            last_time=history.last_time,
        )
