"""Who trains models again: on a CPU, where a person has said nothing else, a process a core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.contract.container import usable_cpus
from pipeline.contract.results.training import read_training
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.trainers import one_a_core
from pipeline.contract.settings.schema import Settings
from pipeline.influence.memory_estimate import free_bytes
from pipeline.model import select_device
from pipeline.sharing.local_workers import workers_here
from pipeline.sharing.stage import SharedStage, shared_stage


@contextmanager
def trainers(
    stage: str, settings: Settings, run: RunDir, events: EventWriter, trainings: int
) -> Iterator[SharedStage]:
    """Context in which other workers may do some of the stage's trainings, `trainings` at most."""
    device = select_device(settings)
    count = trainers_of(settings, device, read_training(run).parameters, trainings)
    before = torch.get_num_threads()
    threads = max(1, before // count) if count > workers_here(settings, str(device)) else before
    torch.set_num_threads(threads)
    try:
        with shared_stage(stage, settings, run, events, str(device), count) as sharing:
            yield sharing
    finally:
        torch.set_num_threads(before)


def trainers_of(settings: Settings, device: torch.device, parameters: int, trainings: int) -> int:
    """How many processes train on this machine: `run.workers`, or one a core for a small model,
    where threads and workers have been left alone and memory allows it."""
    small = 0
    if device.type == "cpu":
        small = one_a_core(settings, parameters, trainings, usable_cpus(), free_bytes(device))
    return small or workers_here(settings, str(device))
