"""How many processes train models again where a person has said nothing about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
import torch

from pipeline.contract.files import write_json
from pipeline.contract.run import trainers as foreseen
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.trainers import SMALL, at_once
from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.schema import RunSettings, Settings
from pipeline.sharing.work import Part
from pipeline.validation import trainers
from pipeline.validation.retraining import OnStep, Training
from pipeline.validation.trainers import trainers_of
from pipeline.validation.trainings import Trainings

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 1 << 30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and much memory."""
    monkeypatch.setattr(trainers, "usable_cpus", lambda: 8)
    monkeypatch.setattr(trainers, "free_bytes", lambda _: 256 * GIB)


def asked(workers: int | Literal["gpus"] = 1, threads: int = 0) -> Settings:
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


def test_what_is_foreseen_without_the_libraries_is_what_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseen, "usable_cpus", lambda: 8)
    monkeypatch.setattr(foreseen, "_free_bytes", lambda: 256 * GIB)
    run = RunDir(tmp_path)
    for settings in (asked(), asked(workers=2), asked(threads=4)):
        for parameters, trainings in ((SMALL, 12), (SMALL, 3), (SMALL + 1, 12)):
            told = at_once(settings, run, parameters, trainings)
            assert told == trainers_of(settings, CPU, parameters, trainings)
    write_json(run.manifest, {"gpus": ["NVIDIA H200", "NVIDIA H200"]})
    assert at_once(asked(), run, SMALL, 12) == trainers_of(asked(), GPU, SMALL, 12) == 1
    assert at_once(asked(workers="gpus"), run, SMALL, 12) == 2


def test_free_memory_is_some_and_less_than_the_machine_s() -> None:
    assert 0 < foreseen._free_bytes() < psutil.virtual_memory().total


class TwoProcesses:
    """A stage that shares six trainings with another process, which is as quick."""

    workers = 2

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.ledger = self
        self.told: list[float] = []

    def get(self, key: str) -> str | None:
        return key if key in self.done else None

    def key(self, training: Training) -> str:
        return str(training.seed)

    def outcome(self, training: Training, on_step: OnStep) -> None:
        for step in range(1, 11):
            on_step(step, 10)
        self.done |= {str(training.seed), str(training.seed + 1)}

    def parts(self, work: Trainings, *_: object) -> Iterator[Part]:
        yield from work.parts[::2]

    def progress(self, done: float, *_: object) -> None:
        self.told.append(done)


def test_progress_counts_what_the_other_processes_are_at_too(tmp_path: Path) -> None:
    both: Any = TwoProcesses()
    trainings = [Training(np.arange(3), seed) for seed in range(6)]
    work = Trainings("trainings", trainings, both, RunDir(tmp_path))
    work.do(both, asked(), both)
    halves = [done for done in both.told if 0 < done < 2]
    assert halves == pytest.approx([0.2 * step for step in range(1, 10)])
    assert both.told == sorted(both.told)
    assert both.told[-1] == 6
