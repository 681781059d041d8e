"""The train stage by several processes: the training of one, and an end to all of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import FileStore  # type: ignore[attr-defined]
from torch.distributed.tensor import DTensor

from pipeline.__main__ import main as stage_process
from pipeline.batches import TokenBudgetSampler
from pipeline.contract.children import python_command
from pipeline.contract.errors import HeadwaterError, ModelError, RetryableError, SettingsError
from pipeline.contract.results import learning_curves as names
from pipeline.contract.results.training import read_training
from pipeline.contract.run import freshness
from pipeline.contract.run.events import Cancelled, EventReader, EventWriter, Metric
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.model import load_model
from pipeline.stages import train
from pipeline.training import rank, together
from pipeline.training.devices import Team
from pipeline.training.trainer import EventCallback, TokenTrainer
from tests.forked import Forked
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


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[Forked]:
    """Further processes are forks of the stage's; gives those that were started."""
    started: list[Forked] = []

    def start(number: int, count: int, _threads: int, run: RunDir, meeting: Path) -> Forked:
        def work() -> int:
            os.environ.update(together._variables(number, count))
            return rank.main(run, meeting, os.getppid())

        started.append(Forked(work))
        return started[-1]

    monkeypatch.setattr(together, "_started", start)
    return started


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


def at_step_3(patched: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Has the stage, not the processes beside it, do something as its third step begins."""

    def begin(_watch: EventCallback, _args: Any, state: Any, *__: Any, **___: Any) -> None:
        if state.global_step == 2:
            act()

    patched.setattr(EventCallback, "on_step_begin", begin)


def processes_in_session(leader: int) -> list[str]:
    """Those that are left of it."""
    stats = [Path(stat).read_text().rpartition(")")[2] for stat in glob("/proc/[0-9]*/stat")]
    return [stat for stat in stats if stat.split()[3] == str(leader) and " Z " not in stat]


def held_here(model: torch.nn.Module) -> int:
    """Numbers of a model's weights that this process has."""
    return sum(
        weight.to_local().numel() if isinstance(weight, DTensor) else weight.numel()
        for weight in model.parameters()
    )


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
    prepared_run: PrepareRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: list[Forked]
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
    with monkeypatch.context() as patched:
        at_step_3(patched, lambda: forked[-1].kill())
        with pytest.raises(RetryableError, match="killed by SIGKILL"):
            train_here(run)
    before = len(EventReader(run.events, (Metric,)).read())
    train_here(run)
    again = EventReader(run.events, (Metric,)).read()[before:]
    assert min(event.step for event in again if isinstance(event, Metric)) == 3
    assert readings(run) == pytest.approx(readings(alone), rel=FLOAT32, abs=1e-9)


def test_a_training_that_is_asked_to_stop_does_after_its_step_and_goes_on_as_if_it_had_not(
    prepared_run: PrepareRun,
    shared: RunDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked: list[Forked],
) -> None:
    run = by_two(prepared_run, tmp_path, checkpoint_every=100)
    with monkeypatch.context() as patched:
        at_step_3(patched, lambda: os.killpg(0, signal.SIGTERM))  # as the supervisor does
        stage = Forked(lambda: stage_process("train", run), session=True)
        assert stage.wait() == 130
    assert not processes_in_session(stage.pid)
    assert isinstance(EventReader(run.events).read()[-1], Cancelled)
    assert [folder.name for folder in run.checkpoints.iterdir()] == ["checkpoint-3"]
    train_here(run)
    losses = [
        event.step
        for event in EventReader(run.events, (Metric,)).read()
        if isinstance(event, Metric) and event.name == names.LOSS
    ]
    assert losses == list(range(1, read_training(run).steps + 1)), "no step was repeated"
    assert readings(run) == readings(shared)
    whole, expected = (load_file(of.model / "model.safetensors") for of in (run, shared))
    assert all(torch.equal(whole[name], expected[name]) for name in whole | expected)


def test_processes_that_share_the_model_train_as_one_does_and_go_on_after_a_stop(
    prepared_run: PrepareRun,
    alone: RunDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked: list[Forked],
) -> None:
    run = by_two(prepared_run, tmp_path, shard=True, checkpoint_every=100)
    watched: list[torch.nn.Module] = []
    with monkeypatch.context() as patched:
        remember = TokenTrainer.__init__

        def make(self: TokenTrainer, model: Any, *rest: Any) -> None:
            watched.append(model)
            remember(self, model, *rest)

        patched.setattr(TokenTrainer, "__init__", make)

        def stop() -> None:
            whole = sum(weight.numel() for weight in watched[0].parameters())
            # its half, and the vocabulary whole, as the validation has left it
            assert held_here(watched[0]) < 0.6 * whole
            os.killpg(0, signal.SIGTERM)

        at_step_3(patched, stop)
        assert Forked(lambda: stage_process("train", run), session=True).wait() == 130
    assert [folder.name for folder in run.checkpoints.iterdir()] == ["checkpoint-3"]
    assert load_model(run.checkpoints / "checkpoint-3", torch.device("cpu")).num_parameters()
    train_here(run)
    assert readings(run) == pytest.approx(readings(alone), rel=FLOAT32, abs=1e-9)
    assert not any(name.startswith(("ACCELERATE_", "FSDP_")) for name in os.environ)
    assert {file.name for file in run.model.iterdir()} == {
        file.name for file in alone.model.iterdir()
    }
    for config in ("config.json", "generation_config.json"):
        assert (run.model / config).read_text() == (alone.base / config).read_text()
    found, expected = (load_file(of.model / "model.safetensors") for of in (run, alone))
    for name in found | expected:
        # Adam moves a weight that has next to no gradient by the sign of a rounding error
        assert (found[name] - expected[name]).norm() < 1e-3 * expected[name].norm(), name
    one, two = read_training(alone), read_training(run)
    assert (two.steps, two.tokens, two.parameters) == (one.steps, one.tokens, one.parameters)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"train": {"shard": True}}, "there is one"),
        ({"train": {"shard": True, "processes": 2}, "lora": {"rank": 2}}, "an adapter is small"),
    ],
)
def test_a_model_that_cannot_be_shared_is_refused_before_any_work(
    prepared_run: PrepareRun, tmp_path: Path, sections: dict[str, Any], told: str
) -> None:
    run = prepared_run(tmp_path, **sections)
    with pytest.raises(SettingsError, match=told):
        train_here(run)
    assert not run.base.exists()


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (ModelError("no such weight", "look for it"), HeadwaterError, "no such weight"),
        (MemoryError(), RetryableError, "out of memory"),
        (KeyError("sideways"), HeadwaterError, "KeyError: 'sideways'"),
    ],
)
def test_what_ends_a_process_is_told_as_what_it_is(
    prepared_run: PrepareRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked: list[Forked],
    fault: Exception,
    kind: type[HeadwaterError],
    told: str,
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(train, "help_train", fail)
    with pytest.raises(HeadwaterError, match=told) as caught:
        train_here(by_two(prepared_run, tmp_path))
    assert type(caught.value) is kind


def test_a_process_that_ends_before_it_joins_is_not_waited_for(
    prepared_run: PrepareRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = python_command("-c", "raise SystemExit(1)")
    monkeypatch.setattr(together, "python_command", lambda *_: ended)
    with pytest.raises(HeadwaterError, match="ended before it began"):
        train_here(by_two(prepared_run, tmp_path))
    assert "RANK" not in os.environ


def test_a_stage_that_is_killed_leaves_no_process_waiting_for_it(
    prepared_run: PrepareRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: list[Forked]
) -> None:
    run, here = by_two(prepared_run, tmp_path), tmp_path / "other"

    def die_when_the_other_waits(others: Any, _run: RunDir, meeting: Path, _: Team) -> None:
        store = FileStore(str(meeting), 2)
        store.wait(["1 is ready"])
        here.write_text(str(others[0].pid))
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(together, "_meet", die_when_the_other_waits)
    stage = Forked(lambda: stage_process("train", run))
    assert stage.wait() == -signal.SIGKILL
    other = Path("/proc") / here.read_text()
    deadline = time.monotonic() + 60
    while other.exists() and b" Z " not in (other / "stat").read_bytes():
        if time.monotonic() > deadline:
            os.kill(int(other.name), signal.SIGKILL)
            pytest.fail("it waits for a stage that is gone")
        time.sleep(0.05)


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


def test_gpus_where_there_is_none_are_refused(prepared_run: PrepareRun, tmp_path: Path) -> None:
    run = prepared_run(tmp_path, run={"device": "cpu"}, train={**SECTION, "processes": "gpus"})
    with pytest.raises(SettingsError, match="no GPU is in reach"):
        train_here(run)
    assert not run.base.exists()
