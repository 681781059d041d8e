"""What to change where something does not fit, or where a change saves passes over the data.

Every change is tried on the same formulas first: what is advised fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.contract.results.plan import Advice, Peak
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size
from pipeline.influence.compression import RANK
from pipeline.influence.settled import rank_is_open
from pipeline.planning.memory import Memory
from pipeline.planning.network import network_of
from pipeline.planning.work import disk

Changes = dict[str, dict[str, str | int | float | bool]]


def advise(memory: Memory, stages: Sequence[str]) -> Iterator[Advice]:
    """Changes of settings, most pressing first."""
    for stage in stages:
        if lacking := _lack(memory, stage):
            yield _fitting(memory, stage, lacking)
    if saving := _fewer_passes(memory):
        yield saving
    whole, free = sum(disk(stage, memory) for stage in stages), memory.device.hardware.disk
    if whole > free:
        why = f"the disk: {size(whole)} will be written, and {size(free)} are free"
        kept: Changes = {"train": {"keep_checkpoints": 1}}
        yield Advice(why, kept if memory.settings.train.keep_checkpoints > 1 else {})


def _lack(memory: Memory, stage: str) -> str:
    """What a stage lacks, in words; empty where it fits."""
    host, device = memory.peaks(stage)
    hardware = memory.device.hardware
    if device and device.bytes > hardware.capacity:
        return _told(device, hardware.capacity, hardware.name)
    room = hardware.host if device else hardware.capacity
    return _told(host, room, "memory") if host.bytes > room else ""


def _told(peak: Peak, room: int, where: str) -> str:
    return f"{peak.phase} takes {size(peak.bytes)} of {where}, and there are {size(room)}"


def _fitting(memory: Memory, stage: str, lacking: str) -> Advice:
    """The first of the changes that a stage allows with which it fits."""
    for changes in _candidates(memory, stage):
        if not _lack(_changed(memory, changes), stage):
            return Advice(f"{stage} does not fit: {lacking}; with this it does", changes)
    hint = "fewer modules (modules.layers), a smaller model or a larger device"
    return Advice(f"{stage} does not fit: {lacking}; no setting of its own helps: {hint}", {})


def _candidates(memory: Memory, stage: str) -> Iterator[Changes]:
    settings, modules = memory.settings, len(memory.network.shapes)
    if stage == "train":
        tokens = settings.train.batch_tokens
        while tokens > settings.data.max_tokens:
            tokens //= 2
            yield {
                "train": {"batch_tokens": tokens, "gradient_accumulation": _ratio(memory, tokens)}
            }
        yield {"train": {"batch_tokens": tokens, "gradient_checkpointing": True}}
        if settings.model.init == "pretrained" and not settings.lora.rank:
            yield {"lora": {"rank": 16, "alpha": 32}, "train": {"learning_rate": 2e-4}}
    if stage == "generate":
        yield {"generate": {"batch_tokens": settings.generate.batch_tokens // 4}}
    for parts in _counts(modules):
        if stage == "factors":
            names = ("covariance_module_partitions", "lambda_module_partitions")
            yield {"factors": dict.fromkeys(names, parts)}
        if stage == "scores":
            yield {"scores": {"module_partitions": parts}}


def _ratio(memory: Memory, tokens: int) -> int:
    """Batches to a step, so that a step has as many tokens as before."""
    chosen = memory.settings.train
    return max(1, round(chosen.batch_tokens * chosen.gradient_accumulation / tokens))


def _counts(modules: int) -> Iterator[int]:
    parts = 2
    while parts <= modules:
        yield parts
        parts *= 2


def _fewer_passes(memory: Memory) -> Advice | None:
    """Compression of prompts' gradients, where it saves passes over the examples."""
    now = memory.gathering().passes
    changes: Changes = {"scores": {"query_gradient_low_rank": RANK}}
    then = _changed(memory, changes).gathering().passes
    decided_later = memory.kind == "cuda" and rank_is_open(memory.settings)
    if memory.rank or then >= now or decided_later:
        return None
    return Advice(
        f"{now:,} passes over the data for {memory.counts.prompts:,} prompts; with gradients "
        f"compressed to rank {RANK} {then:,}, at some cost in exactness",
        changes,
    )


def _changed(memory: Memory, changes: Changes) -> Memory:
    whole = memory.settings.model_dump()
    for section, values in changes.items():
        whole[section] |= values
    settings = Settings.model_validate(whole)
    network = network_of(settings) if "lora" in changes else memory.network
    return replace(memory, settings=settings, network=network)
