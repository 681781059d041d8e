"""Puts a plan together: every stage's memory, passes, time and disk, and what to change."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from pipeline.contract.results.examples import read_corpus_summary
from pipeline.contract.results.plan import Counts, Plan, StagePlan, plan_digest
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.influence.arguments import gradient_bytes
from pipeline.influence.compression import LEAST, RANK
from pipeline.influence.precision import BOUND
from pipeline.influence.settled import AUTO, rank_is_open
from pipeline.planning.advice import advise
from pipeline.planning.counts import counts_of_run
from pipeline.planning.devices import Device, this_device
from pipeline.planning.memory import Memory
from pipeline.planning.network import Network, network_of
from pipeline.planning.work import disk, work

STAGES = ("train", "factors", "scores", "generate")
"""Those that take more than a process that has loaded its libraries."""


def plan_run(run: RunDir, settings: Settings) -> Plan:
    """The plan of a run whose corpus is prepared, on this machine's own device.

    Raises:
        HeadwaterError: see `counts_of_run`, `network_of` and `this_device`.
    """
    counts, device = counts_of_run(run, settings), this_device(settings, run.root)
    network = network_of(settings, read_corpus_summary(run).vocab_size)
    return make_plan(settings, network, counts, device, run)


def make_plan(
    settings: Settings, network: Network, counts: Counts, device: Device, run: RunDir
) -> Plan:
    """The plan of these settings for so much work on a device."""
    memory = Memory(settings, network, counts, device, libraries=_libraries())
    gathered = memory.gathering()
    return Plan(
        hardware=device.hardware,
        counts=counts,
        parameters=network.parameters,
        modules=len(network.shapes),
        prompt_gradient=gradient_bytes(network.shapes, 0),
        prompt_passes=gathered.passes,
        prompts_together=min(gathered.at_once * gathered.batches, max(1, counts.prompts)),
        by_stage=tuple(_stage(stage, memory) for stage in stages_of(settings)),
        advice=tuple(advise(memory, stages_of(settings))),
        notes=tuple(_notes(memory)),
        settings_digest=plan_digest(run, settings),
    )


def stages_of(settings: Settings) -> tuple[str, ...]:
    """Those that are planned: a model trained elsewhere is not trained."""
    return tuple(stage for stage in STAGES if stage != "train" or not settings.model.trained)


def _libraries() -> int:
    """Bytes of this process, which has loaded what stages load and little else."""
    return int(psutil.Process().memory_info().rss)


def _stage(stage: str, memory: Memory) -> StagePlan:
    host, device = memory.peaks(stage)
    found, speed = work(stage, memory), memory.device.speed
    halves, tensor = _faster(stage, memory)
    seconds = found.seconds(speed, halves, tensor) if speed else None
    if seconds and stage == "train" and memory.kind == "cuda":
        seconds /= memory.team.count
    return StagePlan(stage, host, device, found.passes, seconds, disk(stage, memory))


def _faster(stage: str, memory: Memory) -> tuple[bool, bool]:
    """Whether a stage's passes are in bfloat16, and whether its products are in TF32, as far as the
    settings decide: "auto" may find on the device that it is not exact enough."""
    settings = memory.settings
    chosen = {
        "train": settings.train.precision,
        "factors": settings.factors.amp_dtype,
        "scores": settings.scores.amp_dtype,
    }
    halves = chosen.get(stage) in (AUTO, "bfloat16") and memory.device.has_bfloat16
    influence = stage in ("factors", "scores") and memory.kind == "cuda"
    return halves, influence and settings.run.tf32 in (True, AUTO)


def _notes(memory: Memory) -> Iterator[str]:
    hardware = memory.device.hardware
    if hardware.timed:
        yield f"time: arithmetic ÷ {hardware.timed}; reading, writing and waiting come on top"
    else:
        yield "time: not known for such a device; --gpu NAME knows some"
    yield "memory: estimates, right to about a third"
    opened = AUTO in (memory.settings.scores.amp_dtype, memory.settings.run.tf32)
    if memory.kind == "cuda" and opened:
        yield (
            "precision: reckoned in bfloat16 and TF32; factors and scores stay in float32 if a "
            f"gradient moves by more than {BOUND:.0%} of its length"
        )
    fewer = memory.gathering(RANK).passes
    if (
        memory.kind == "cuda"
        and rank_is_open(memory.settings)
        and fewer < memory.gathering().passes
    ):
        yield (
            f"passes: {fewer:,} for all prompts with gradients compressed to rank {RANK}, if ranks "
            f"of a sample then have a correlation of {LEAST} or more"
        )
