"""How many processes train models again where a person has said nothing about it."""

from __future__ import annotations

import pytest
import torch

from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.schema import RunSettings, Settings
from pipeline.validation import trainers
from pipeline.validation.trainers import SMALL, trainers_of

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 1 << 30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and much memory."""
    monkeypatch.setattr(trainers, "usable_cpus", lambda: 8)
    monkeypatch.setattr(trainers, "free_bytes", lambda _: 256 * GIB)


def asked(workers: int = 1, threads: int = 0) -> Settings:
    return demo_settings(0).model_copy(
        update={"run": RunSettings(workers=workers, threads=threads)}
    )


def test_a_small_model_is_trained_by_a_process_a_core_but_no_more_than_there_are_trainings() -> (
    None
):
    assert trainers_of(asked(), CPU, SMALL, 12) == 8
    assert trainers_of(asked(), CPU, SMALL, 3) == 3


def test_what_a_person_has_set_stays() -> None:
    assert trainers_of(asked(workers=2), CPU, SMALL, 12) == 2
    assert trainers_of(asked(threads=4), CPU, SMALL, 12) == 1


def test_a_large_model_and_a_gpu_are_one_process_s() -> None:
    assert trainers_of(asked(), CPU, SMALL + 1, 12) == 1
    assert trainers_of(asked(), GPU, SMALL, 12) == 1


@pytest.mark.parametrize(("free", "count"), [(64 * GIB, 8), (8 * GIB, 2), (1 * GIB, 1)])
def test_half_of_the_memory_is_left_to_others(
    free: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainers, "free_bytes", lambda _: free)
    assert trainers_of(asked(), CPU, SMALL, 12) == count
