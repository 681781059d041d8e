"""Several workers over one run: the same bits as one alone, whoever dies or comes late."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pipeline import worker
from pipeline.contract.errors import SettingsError
from pipeline.contract.files import write_text
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer, read_offer, versions
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.prompts import save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.sharing import stage as sharing
from pipeline.sharing.local_workers import visible_gpus, workers_of
from pipeline.stages import factors, scores
from tests.small_runs import as_written, run_here

from .forked_workers import Workers

PHASES = {
    "factors": ("ekfac covariance", "ekfac lambda"),
    "scores": ("ekfac scores", "ekfac self-influence"),
}
PARTED: dict[str, dict[str, object]] = {
    "modules": {"layers": "0"},
    "factors": {
        "covariance_data_partitions": 3,
        "lambda_data_partitions": 2,
        "lambda_module_partitions": 2,
    },
    "scores": {"data_partitions": 3, "token_top": 0, "second_opinions": []},
}


def with_settings(target: RunDir, /, **sections: dict[str, object]) -> None:
    settings = load_settings(target.settings)
    values = settings.model_dump()
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    write_text(target.settings, render_settings(Settings.model_validate(values)))


@pytest.fixture(scope="module")
def parted_run(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A trained run whose passes come in partitions, without factors; to be copied.

    One of its prompts is set against another completion.
    """
    root = tmp_path_factory.mktemp("parted") / "run"
    shutil.copytree(scored_run.root, root, ignore=shutil.ignore_patterns("influence", "scores"))
    run = RunDir(root)
    river, baker = read_prompts(run)
    against = river.model_copy(update={"instead": " by the harbour"})
    save_prompts(run.prepared_prompts, [against, baker])
    as_written(run, "prepare")
    with_settings(run, **PARTED)
    return run


@pytest.fixture(scope="module")
def alone(parted_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """What one worker computes."""
    run = copy(parted_run, tmp_path_factory.mktemp("alone") / "run")
    run_here(run, factors, scores)
    return tensors(run)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as started:
        yield started


@pytest.fixture
def run(parted_run: RunDir, tmp_path: Path) -> RunDir:
    return copy(parted_run, tmp_path / "run")


def copy(run: RunDir, root: Path) -> RunDir:
    shutil.copytree(run.root, root)
    return RunDir(root)


def tensors(run: RunDir) -> dict[str, Tensor]:
    """Every tensor of factors and scores, by file and name."""
    scored = [run.scores] if run.scores.exists() else []
    files = [*sorted((run.root / "influence").rglob("*.safetensors")), *scored]
    return {
        f"{file.relative_to(run.root)}:{name}": tensor
        for file in files
        for name, tensor in load_file(file).items()
    }


def assert_same_bits(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert not [name for name in wanted if not torch.equal(found[name], wanted[name])]


@pytest.fixture
def stage_takes(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set the stage computes nothing itself."""
    event, whole = threading.Event(), sharing._take_one
    deadline = time.monotonic() + 120

    def take_one(*arguments: object) -> object:
        assert time.monotonic() < deadline, "the workers do not what the stage leaves to them"
        return whole(*arguments) if event.is_set() else None  # type: ignore[arg-type]

    monkeypatch.setattr(sharing, "_take_one", take_one)
    return event


def beside(run: RunDir, work: Callable[[str], object]) -> threading.Thread:
    """A thread that calls `work(stage)` when the stage begins to share its passes."""

    def follow() -> None:
        for stage in PHASES:
            wait_until(lambda stage=stage: read_offer(run, stage) is not None)  # type: ignore[misc]
            work(stage)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.usefixtures("stage_takes")
def test_more_workers_than_partitions_give_the_bits_of_one(
    run: RunDir, workers: Workers, alone: dict[str, Tensor]
) -> None:
    """All partitions are theirs: the stage takes none."""
    helped = beside(run, lambda stage: [workers.start(stage, run.root) for _ in range(4)])
    run_here(run, factors, scores)
    helped.join()
    assert_same_bits(tensors(run), alone)
    assert not run.workers("factors").exists()
    assert not run.workers("scores").exists()


@pytest.mark.usefixtures("stage_takes")
@pytest.mark.parametrize("moment", ["stage", "publish"])
def test_a_worker_killed_in_any_phase_is_replaced_by_a_later_one(
    run: RunDir, workers: Workers, alone: dict[str, Tensor], moment: str
) -> None:
    killed = []

    def help_stage(stage: str) -> None:
        for phase in PHASES[stage]:
            pid = workers.start(stage, run.root, dies_in=phase, moment=moment)
            wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
            killed.append(phase)
        workers.start(stage, run.root)

    helped = beside(run, help_stage)
    run_here(run, factors, scores)
    helped.join()
    assert killed == [*PHASES["factors"], *PHASES["scores"]]
    assert_same_bits(tensors(run), alone)


def test_the_stage_does_what_a_killed_worker_held(
    run: RunDir, workers: Workers, alone: dict[str, Tensor], stage_takes: threading.Event
) -> None:
    def help_stage(stage: str) -> None:
        stage_takes.clear()
        pid = workers.start(stage, run.root, dies_in=PHASES[stage][0])
        wait_until(lambda: is_gone(pid))
        stage_takes.set()

    helped = beside(run, help_stage)
    run_here(run, factors, scores)
    helped.join()
    assert_same_bits(tensors(run), alone)


def test_a_killed_stage_takes_in_what_others_have_done_meanwhile(
    run: RunDir, workers: Workers, alone: dict[str, Tensor]
) -> None:
    for stage, phases in PHASES.items():
        for phase in phases:
            killed = workers.start_stage(stage, run.root, dies_in=phase)
            wait_until(lambda killed=killed: is_gone(killed))  # type: ignore[misc]
        workers.start(stage, run.root)
        wait_until(lambda stage=stage: bool(published(run, stage)))  # type: ignore[misc]
        workers.start_stage(stage, run.root)
        wait_until(lambda stage=stage: run.done(stage).exists())  # type: ignore[misc]
    assert_same_bits(tensors(run), alone)


def published(run: RunDir, stage: str) -> list[Path]:
    """What waits for the stage to be taken in."""
    return list(run.workers(stage).glob("*/*/part_*/*.safetensors"))


def test_the_verb_work_helps_stage_after_stage_until_all_is_done(
    run: RunDir, alone: dict[str, Tensor], stage_takes: threading.Event
) -> None:
    """It is started before there is anything to do, and does all that the stages leave to it."""
    command = ["-m", "tui", "--runs", str(run.root.parent), "work", run.name]
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        run_here(run, factors, scores)
        told = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    assert not stage_takes.is_set()
    helped = [line.split(" of ")[0] for line in told.splitlines() if line.startswith("helping")]
    assert helped == ["helping with factors", "helping with scores"]
    assert told.splitlines()[-1] == f"nothing of {run.name} is left to help with"
    assert_same_bits(tensors(run), alone)


@pytest.mark.usefixtures("stage_takes")
def test_a_stage_with_two_workers_starts_the_second_itself(
    run: RunDir, alone: dict[str, Tensor]
) -> None:
    with_settings(run, run={"workers": 2})
    run_here(run, factors)
    assert_same_bits(tensors(run), {n: tensor for n, tensor in alone.items() if "/factors_" in n})


def offered(run: RunDir) -> Offer:
    now = RunFreshness(load_settings(run.settings), run).fingerprint("factors")
    fingerprint = {"settings": now.settings, "inputs": now.inputs}
    offer = Offer("token", fingerprint, versions())
    offer.write(run, "factors")
    return offer


def refusal(run: RunDir, capsys: pytest.CaptureFixture[str]) -> str:
    assert worker.main("factors", run) == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_worker_with_other_settings_is_refused(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(run)
    with_settings(run, factors={"fisher": "empirical"})
    told = refusal(run, capsys)
    assert "settings.toml holds other settings than those that the stage was started with" in told
    assert f"`headwater resume {run.name}`" in told


def test_a_worker_with_another_model_is_refused(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = offered(run)
    replace(offer, fingerprint={**offer.fingerprint, "inputs": {"train": "another"}}).write(
        run, "factors"
    )
    assert "the corpus, the model or other inputs are others" in refusal(run, capsys)


def test_a_worker_of_another_version_is_refused(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(offered(run), versions={**versions(), "torch": "1.0"}).write(run, "factors")
    told = refusal(run, capsys)
    assert f"torch {versions()['torch']} here, 1.0 there" in told
    assert "the same versions on every machine" in told


def test_a_worker_without_a_stage_at_work_has_nothing_to_do(run: RunDir) -> None:
    assert worker.main("factors", run) == 0


def test_a_killed_stage_goes_on_with_what_was_published_for_it(run: RunDir) -> None:
    offer, settings = offered(run), load_settings(run.settings)
    published = run.workers("factors") / offer.token / "pass"
    published.mkdir(parents=True)
    events = EventWriter(run.events, "factors")
    with sharing.shared_stage("factors", settings, run, events, "cpu"):
        assert published.exists()
        assert read_offer(run, "factors") == offer


def test_a_stage_takes_nothing_that_was_published_for_other_settings(run: RunDir) -> None:
    published = run.workers("factors") / offered(run).token / "pass"
    published.mkdir(parents=True)
    with_settings(run, factors={"fisher": "empirical"})
    events = EventWriter(run.events, "factors")
    with sharing.shared_stage("factors", load_settings(run.settings), run, events, "cpu"):
        assert not published.exists()


@pytest.mark.parametrize(
    ("named", "count", "names"),
    [(None, 0, []), (None, 2, ["0", "1"]), ("3,5", 2, ["3", "5"]), ("GPU-a", 1, ["GPU-a"])],
)
def test_workers_of_one_machine_take_its_gpus_in_turn(
    named: str | None, count: int, names: list[str]
) -> None:
    assert visible_gpus(named, count) == names


def test_one_worker_on_every_gpu_is_as_many_as_there_are(run: RunDir) -> None:
    with_settings(run, run={"workers": "gpus"})
    settings = load_settings(run.settings)
    assert workers_of(settings, gpus=4) == 4
    with pytest.raises(SettingsError, match="no GPU is in reach"):
        workers_of(settings, gpus=0)
    with pytest.raises(SettingsError, match="no GPU is in reach"):  # this run is one of CPUs
        run_here(run, factors)
    with_settings(run, run={"workers": 3})
    assert workers_of(load_settings(run.settings), gpus=0) == 3


def test_several_workers_without_partitions_are_told_what_to_set(run: RunDir) -> None:
    with_settings(run, run={"workers": 2}, factors={"covariance_data_partitions": 1})
    settings = load_settings(run.settings)
    assert sharing._whole_passes("factors", settings) == ["factors.covariance_data_partitions"]
    assert sharing._whole_passes("scores", settings) == []
