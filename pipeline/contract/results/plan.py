"""What a run will take, estimated before it is run.

File: `plan.json` in the run's folder: of the settings that it names, on the device that the run
will have. `headwater plan` makes others, which are only printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.contract.results.common import read_record, write_record
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

_SECTIONS = ("run", "data", "model", "lora", "train", "modules", "factors", "scores", "prompts",
             "generate")  # fmt: skip
"""Of the settings, those that it depends on."""


@dataclass(frozen=True)
class Part:
    """Something that takes memory."""

    what: str
    bytes: int


@dataclass(frozen=True)
class Peak:
    """The most that a stage takes of one memory."""

    phase: str
    """When it does."""
    parts: tuple[Part, ...]
    """Largest first."""

    @property
    def bytes(self) -> int:
        """All parts together."""
        return sum(part.bytes for part in self.parts)


@dataclass(frozen=True)
class StagePlan:
    """What one stage will take."""

    stage: str
    host: Peak
    """Of the machine's memory."""
    device: Peak | None
    """Of the GPU's; None where it computes on the CPU."""
    passes: float
    """Over all training examples; those of prompts alone are not counted."""
    seconds: float | None
    """None where nobody knows how fast the device is."""
    disk: int
    """Bytes of what it writes."""


@dataclass(frozen=True)
class Hardware:
    """What a plan is made for."""

    name: str
    kind: Literal["cpu", "cuda"]
    capacity: int
    """Bytes of the device's memory for this process; of a CPU, the machine's."""
    host: int
    """Bytes of the machine's memory."""
    disk: int
    """Bytes free on the disk."""
    timed: str
    """What its speed is known from; empty where it is not known."""
    cards: int = 1
    """How many such GPUs there are; what is told of the device's memory is of one."""


@dataclass(frozen=True)
class Counts:
    """How much there is to do."""

    examples: int
    tokens: int
    """Of all training examples."""
    longest: int
    """Tokens of the longest example."""
    prompts: int
    known_from: str
    """The words for where these figures are from."""


@dataclass(frozen=True)
class Advice:
    """A change of settings, and what it is good for."""

    why: str
    changes: dict[str, dict[str, str | int | float | bool]]
    """Section → key → value."""


@dataclass(frozen=True)
class Plan:
    """All of it."""

    hardware: Hardware
    counts: Counts
    parameters: int
    """Of the model."""
    modules: int
    """Traced ones."""
    prompt_gradient: int
    """Bytes of one prompt's gradient, uncompressed."""
    prompt_passes: int
    """Over all training examples, for one method's scores of all prompts."""
    prompts_together: int
    """That share such a pass."""
    by_stage: tuple[StagePlan, ...]
    advice: tuple[Advice, ...]
    notes: tuple[str, ...]
    """What the estimates rest on."""
    settings_digest: str = ""
    """Of the settings that it was made for."""

    @property
    def disk(self) -> int:
        """Bytes that all stages write."""
        return sum(stage.disk for stage in self.by_stage)


@dataclass(frozen=True)
class PlanRequest:
    """What a plan is asked of: a run by its folder, or settings by their file; and the device."""

    run: str = ""
    settings_file: str = ""
    gpu: str = ""
    """A card by its name, as "A100-80GB", or several, as "4xA100-80GB"; empty = this machine's own
    device, unless there is `gpu_bytes`."""
    gpu_bytes: int = 0
    """Bytes of a GPU of which no more is known."""
    examples: int = 0
    """0 = as the corpus or the settings say."""
    prompts: int = 0


def plan_digest(run: RunDir, settings: Settings) -> str:
    """What a plan says of the settings that it was made for."""
    return RunFreshness(settings, run).digest(_SECTIONS)


def write_plan(run: RunDir, plan: Plan) -> None:
    """Writes a run's plan, in place of one before."""
    write_record(run.plan, plan)


def read_plan(run: RunDir) -> Plan:
    """The plan that was made for a run.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: the file holds something else.
    """
    return read_record(run, "prepare", run.plan, Plan)


def plan_of(value: object) -> Plan:
    """A plan as the planning process prints it: JSON's own values."""
    from pydantic import TypeAdapter

    plan: Plan = TypeAdapter(Plan).validate_python(value)
    return plan
