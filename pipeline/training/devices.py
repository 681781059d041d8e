"""How many processes train together, on which devices, and by which library they exchange sums."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pipeline.contract.errors import SettingsError
from pipeline.contract.settings.schema import ProcessCount, Settings
from pipeline.model import select_device

GLOO, NCCL = "gloo", "cpu:gloo,cuda:nccl"
"""Of PyTorch's backends: for CPUs, and for GPUs with what is kept in the host's memory."""


@dataclass(frozen=True)
class Team:
    """The processes of a training."""

    count: int
    backend: str = GLOO

    def device(self, rank: int) -> torch.device:
        """That of the process of this number: of the visible GPUs each has the next one."""
        return torch.device("cuda", rank) if self.backend == NCCL else torch.device("cpu")


def team(processes: ProcessCount, kind: str, gpus: int) -> Team:
    """The processes that train.processes asks for.

    `kind`: "cpu" or "cuda", where the run computes; `gpus`: how many are visible.

    Raises:
        SettingsError: there are no such devices.
    """
    if processes == "gpus":
        if kind == "cpu" or not gpus:
            raise SettingsError(
                'train.processes = "gpus", but no GPU is in reach',
                "`headwater doctor` says why; or set train.processes to a number of processes on "
                'CPUs, and run.device = "cpu"',
            )
        return Team(gpus, NCCL)
    if processes > 1 and kind != "cpu":
        raise SettingsError(
            f"train.processes = {processes} trains on CPUs alone, and this run computes on a GPU",
            'set train.processes = "gpus" for one process on each, 1, or run.device = "cpu"',
        )
    return Team(processes)


def team_for(settings: Settings, kind: str, gpus: int) -> Team:
    """The processes that train with these settings on such devices; see `team`.

    Raises:
        SettingsError: there are no such devices, or they cannot share the model for train.shard.
    """
    found = team(settings.train.processes, kind, gpus)
    if not settings.train.shard:
        return found
    if found.count == 1:
        raise SettingsError(
            "train.shard = true shares the model among processes, and there is one",
            'set train.processes to 2 or more, or to "gpus" where there are several; or '
            "train.shard = false",
        )
    if settings.lora.rank:
        raise SettingsError(
            "train.shard = true shares what is trained, and an adapter is small",
            "set train.shard = false, or lora.rank = 0",
        )
    if kind == "cpu" and gpus:
        raise SettingsError(
            "train.shard = true on CPUs, but PyTorch shards on GPUs wherever one is visible",
            'start it with CUDA_VISIBLE_DEVICES="", or set run.device = "cuda"',
        )
    return found


def team_of(settings: Settings) -> Team:
    """The processes that train with these settings on this machine.

    Raises:
        SettingsError: see `team_for`; UsageError: see `select_device`.
    """
    return team_for(settings, select_device(settings).type, torch.cuda.device_count())
