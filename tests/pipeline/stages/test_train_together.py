"""The train stage by several processes: the training of one, and an end to all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.batches import TokenBudgetSampler
from pipeline.contract.children import child_environment, python_command, stage_command
from pipeline.contract.errors import RetryableError, SettingsError
from pipeline.contract.results import learning_curves as names
from pipeline.contract.results.training import read_training
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventReader, EventWriter, Metric
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.stages import train
from pipeline.training import together
from pipeline.training.trainer import EventCallback
from tests.small_models import save_folder, small_llama

PrepareRun = Callable[..., RunDir]
SECTION = {"epochs": 1.0, "gradient_accumulation": 2, "checkpoint_every": 2, "batch_tokens": 162}
MEASURED = (names.LOSS, names.GRADIENT_NORM, names.TOKENS)
"""At every step."""
FLOAT32 = 1e-4
"""Relative. Sums of float32 in another order differ by about 1e-7 × √terms; some ten steps of Adam,
which divides by small numbers, make about a hundred times that of it."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def _unrehearsed() -> Iterator[None]:
    """The rehearsal of later stages takes longer than these trainings, and is one process's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "rehearse", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def alone(prepared_run: PrepareRun, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Trained by one process; to be read only."""
    return train_here(prepared_run(tmp_path_factory.mktemp("alone"), train=SECTION))


@pytest.fixture(scope="module")
def shared(prepared_run: PrepareRun, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Trained by two processes; to be read only."""
    return train_here(by_two(prepared_run, tmp_path_factory.mktemp("shared")))


def by_two(prepared_run: PrepareRun, root: Path, **train: Any) -> RunDir:
    return prepared_run(root, train={**SECTION, "processes": 2, **train})


def train_here(run: RunDir) -> RunDir:
    train.run(load_settings(run.settings), run, EventWriter(run.events, "train"))
    return run


def readings(run: RunDir) -> dict[tuple[str, int], float]:
    events = EventReader(run.events, (Metric,)).read()
    metrics = [event for event in events if isinstance(event, Metric)]
    chosen = (*MEASURED, names.VALIDATION_LOSS)
    return {(one.name, one.step): one.value for one in metrics if one.name in chosen}


def others_of(stage: int) -> list[int]:
    """The processes that help it train."""
    children = Path(f"/proc/{stage}/task/{stage}/children").read_text().split()
    return [int(pid) for pid in children if b"training.rank" in command_of(pid)]


def command_of(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def random_state(checkpoint: Path, rank: int) -> torch.Tensor:
    state: torch.Tensor = torch.load(checkpoint / f"rng_state_{rank}.pth", weights_only=False)[
        "cpu"
    ]
    return state


def test_the_shares_of_a_batch_are_the_batch() -> None:
    whole = list(TokenBudgetSampler([5] * 7, 20, seed=3))
    shares = [list(TokenBudgetSampler([5] * 7, 20, 3, rank, 2)) for rank in range(2)]
    assert [sorted(one + other) for one, other in zip(*shares, strict=True)] == [
        sorted(batch) for batch in whole
    ]


def test_two_processes_train_as_one_does(alone: RunDir, shared: RunDir) -> None:
    one, two = read_training(alone), read_training(shared)
    expected = readings(alone)
    assert {(name, step) for name in MEASURED for step in range(1, one.steps + 1)} < set(expected)
    assert readings(shared) == pytest.approx(expected, rel=FLOAT32, abs=1e-9)
    assert (two.steps, two.tokens) == (one.steps, one.tokens)
    assert two.validation_loss == pytest.approx(one.validation_loss, rel=FLOAT32)


def test_each_process_has_random_numbers_of_its_own(shared: RunDir) -> None:
    """Otherwise dropout would drop the same units in all shares of a batch."""
    checkpoint = next(shared.checkpoints.glob("checkpoint-*"))
    assert not torch.equal(random_state(checkpoint, 0), random_state(checkpoint, 1))


def test_an_adapters_training_whose_process_was_killed_goes_on_and_ends_as_one_process_does(
    prepared_run: PrepareRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_folder(small_llama(), tmp_path / "base")
    adapted = {
        "model": {"init": "pretrained", "name": str(base)},
        "lora": {"rank": 4},
        "modules": {"group": "all"},
    }
    alone = train_here(prepared_run(tmp_path / "alone", train=SECTION, **adapted))
    shared = {**SECTION, "processes": 2}
    run = prepared_run(tmp_path / "shared", train=shared, **adapted)
    killed: list[int] = []

    def kill_after_step_3(watch: EventCallback, _: Any, state: Any, *__: Any, **___: Any) -> None:
        if state.global_step == 3:
            killed.extend(others_of(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(EventCallback, "on_step_begin", kill_after_step_3)
        with pytest.raises(RetryableError, match="ended before its time"):
            train_here(run)
    assert len(killed) == 1
    assert not Path(f"/proc/{killed[0]}").exists()
    before = len(EventReader(run.events, (Metric,)).read())
    train_here(run)
    again = EventReader(run.events, (Metric,)).read()[before:]
    assert min(event.step for event in again if isinstance(event, Metric)) == 3
    assert readings(run) == pytest.approx(readings(alone), rel=FLOAT32, abs=1e-9)


def test_a_process_that_ends_before_it_joins_is_not_waited_for(
    prepared_run: PrepareRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = python_command("-c", "raise SystemExit(1)")
    monkeypatch.setattr(together, "python_command", lambda *_: ended)
    with pytest.raises(RetryableError, match="ended before its time"):
        train_here(by_two(prepared_run, tmp_path))
    assert "RANK" not in os.environ


def test_a_stop_of_the_stage_stops_all(prepared_run: PrepareRun, tmp_path: Path) -> None:
    run = by_two(prepared_run, tmp_path, epochs=500.0)
    out = tmp_path / "out"
    with out.open("wb") as file:
        stage = subprocess.Popen(
            stage_command("train", str(run.root)),
            env=child_environment(OMP_NUM_THREADS="1"),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    while not list(run.checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert stage.poll() is None, out.read_text()
        time.sleep(0.1)
    (other,) = others_of(stage.pid)
    os.kill(stage.pid, signal.SIGTERM)
    assert stage.wait() == 130
    assert not Path(f"/proc/{other}").exists()
    assert list(run.checkpoints.glob("checkpoint-*/trainer_state.json"))


def test_another_number_of_processes_trains_anew(prepared_run: PrepareRun, tmp_path: Path) -> None:
    run = by_two(prepared_run, tmp_path)
    settings = load_settings(run.settings)
    freshness.begin("train", settings, run)
    checkpoint = run.checkpoints / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    freshness.begin("train", settings, run)
    assert checkpoint.exists()
    fewer = settings.train.model_copy(update={"processes": 1})
    freshness.begin("train", settings.model_copy(update={"train": fewer}), run)
    assert not checkpoint.exists()


def test_more_processes_than_a_batch_has_examples_are_refused(
    prepared_run: PrepareRun, tmp_path: Path
) -> None:
    run = prepared_run(tmp_path, train={**SECTION, "processes": 100})
    with pytest.raises(SettingsError, match="smallest batch"):
        train_here(run)
    assert not run.base.exists()
