"""The train stage by several processes: the training of one, and an end to all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.batches import TokenBudgetSampler
from pipeline.contract.children import child_environment, stage_command
from pipeline.contract.errors import SettingsError
from pipeline.contract.results.training import GRADIENT_NORM, read_training
from pipeline.contract.run.events import EventReader, EventWriter, Failed, Metric
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.stages import train

PrepareRun = Callable[..., RunDir]
SECTION = {"epochs": 1.0, "gradient_accumulation": 2, "checkpoint_every": 2, "batch_tokens": 162}
LOSSES = ("loss", "validation_loss", GRADIENT_NORM, "tokens")
FLOAT32 = 1e-4
"""Relative. Sums of float32 in another order differ by about 1e-7 × √terms; some ten steps of Adam,
which divides by small numbers, make about a hundred times that of it."""


def started(run: RunDir) -> subprocess.Popen[bytes]:
    environment = child_environment(OMP_NUM_THREADS="1")
    command = stage_command("train", str(run.root))
    with run.root.joinpath("out").open("wb") as out:
        return subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, start_new_session=True
        )


def readings(run: RunDir) -> dict[tuple[str, int], float]:
    events = EventReader(run.events, (Metric,)).read()
    metrics = [event for event in events if isinstance(event, Metric)]
    return {(one.name, one.step): one.value for one in metrics if one.name in LOSSES}


def others_of(stage: int) -> list[int]:
    children = Path(f"/proc/{stage}/task/{stage}/children").read_text().split()
    return [int(pid) for pid in children]


def wait_until_saved(run: RunDir, stage: subprocess.Popen[bytes]) -> None:
    while not list(run.checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert stage.poll() is None, run.root.joinpath("out").read_text()
        time.sleep(0.1)


def test_the_shares_of_a_batch_are_the_batch() -> None:
    whole = list(TokenBudgetSampler([5] * 7, 20, seed=3))
    shares = [list(TokenBudgetSampler([5] * 7, 20, 3, rank, 2)) for rank in range(2)]
    assert [sorted(one + other) for one, other in zip(*shares, strict=True)] == [
        sorted(batch) for batch in whole
    ]


def test_two_processes_train_as_one_does(prepared_run: PrepareRun, tmp_path: Path) -> None:
    found = []
    for processes in (1, 2):
        section = {**SECTION, "processes": processes}
        run = prepared_run(tmp_path / str(processes), train=section)
        assert started(run).wait() == 0, run.root.joinpath("out").read_text()
        found.append((readings(run), read_training(run)))
    (alone, one), (shared, two) = found
    assert shared == pytest.approx(alone, rel=FLOAT32, abs=1e-9)
    assert len(alone) >= 20
    assert (two.steps, two.tokens) == (one.steps, one.tokens)
    assert two.validation_loss == pytest.approx(one.validation_loss, rel=FLOAT32)


@pytest.mark.parametrize("killed", ["stage", "other"])
def test_an_end_of_one_process_is_the_end_of_all(
    prepared_run: PrepareRun, tmp_path: Path, killed: str
) -> None:
    run = prepared_run(tmp_path, train={**SECTION, "epochs": 500.0, "processes": 2})
    stage = started(run)
    wait_until_saved(run, stage)
    others = others_of(stage.pid)
    assert len(others) == 1
    if killed == "stage":
        os.kill(stage.pid, signal.SIGTERM)
        assert stage.wait() == 130
    else:
        os.kill(others[0], signal.SIGKILL)
        assert stage.wait() == 3
        (failed,) = EventReader(run.events, (Failed,)).read()
        assert isinstance(failed, Failed)
        assert "ended before its time" in failed.message
    assert not Path(f"/proc/{others[0]}").exists()
    assert list(run.checkpoints.glob("checkpoint-*/trainer_state.json"))


def test_more_processes_than_a_batch_has_examples_are_refused(
    prepared_run: PrepareRun, tmp_path: Path
) -> None:
    run = prepared_run(tmp_path, train={**SECTION, "processes": 100})
    with pytest.raises(SettingsError, match="smallest batch"):
        train.run(load_settings(run.settings), run, EventWriter(run.events, "train"))
    assert not run.base.exists()
