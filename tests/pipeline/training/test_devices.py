"""Which processes train on which devices; no GPU is needed to say so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.contract.errors import SettingsError
from pipeline.training.devices import GLOO, NCCL, Team, team


@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_every_visible_gpu_has_a_process_of_its_own(gpus: int) -> None:
    found = team("gpus", "cuda", gpus)
    assert (found.count, found.backend) == (gpus, NCCL)
    devices = [found.device(rank) for rank in range(gpus)]
    assert devices == [torch.device("cuda", number) for number in range(gpus)]


def test_processes_by_their_number_are_on_the_cpu() -> None:
    found = team(3, "cpu", 0)
    assert found == Team(3, GLOO)
    assert {found.device(rank).type for rank in range(3)} == {"cpu"}


@pytest.mark.parametrize(
    ("processes", "kind", "gpus", "told"),
    [
        ("gpus", "cpu", 0, "no GPU is in reach"),
        ("gpus", "cpu", 4, "no GPU is in reach"),  # run.device = "cpu"
        ("gpus", "cuda", 0, "no GPU is in reach"),
        (2, "cuda", 4, "trains on CPUs alone"),
    ],
)
def test_processes_without_devices_are_refused(
    processes: Any, kind: str, gpus: int, told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        team(processes, kind, gpus)


def test_one_process_is_itself_wherever_the_run_computes() -> None:
    assert team(1, "cuda", 4).count == team(1, "cpu", 0).count == 1
