"""`headwater submit --slurm` on a real cluster of one node, which the fixture starts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from torch import Tensor

from pipeline.contract.files import write_text
from pipeline.contract.run.events import EventReader, Progress
from pipeline.contract.run.processes import SupervisorState
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import WorkerState, read_offer, read_workers
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings
from pipeline.stages import factors, scores
from tests.small_runs import run_here
from tui.cli import main
from tui.printed.narration import from_now

pytestmark = pytest.mark.usefixtures("slurm")

PARTED: dict[str, dict[str, object]] = {
    "modules": {"layers": "0"},
    "factors": {"covariance_data_partitions": 16, "lambda_data_partitions": 16},
    "scores": {"data_partitions": 4, "token_top": 0, "second_opinions": []},
}
LONG: dict[str, object] = {"epochs": 100_000.0, "checkpoint_every": 20}


@pytest.fixture(scope="module")
def trained(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A trained run in partitions, without factors; to be copied."""
    root = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(scored_run.root, root, ignore=shutil.ignore_patterns("influence", "scores"))
    run = RunDir(root)
    with_settings(run, PARTED)
    return run


@pytest.fixture
def run(trained: RunDir, tmp_path: Path) -> RunDir:
    return copy(trained, tmp_path / "small")


def copy(run: RunDir, root: Path) -> RunDir:
    return RunDir(shutil.copytree(run.root, root))


def with_settings(run: RunDir, sections: dict[str, dict[str, object]]) -> None:
    values = load_settings(run.settings).model_dump()
    for name, section in sections.items():
        values[name] = {**values[name], **section}
    write_text(run.settings, render_settings(Settings.model_validate(values)))


def headwater(run: RunDir, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--runs", str(run.root.parent), *arguments])


def told(result: Result) -> str:
    """What a verb that went well printed for programs."""
    assert result.exit_code == 0, result.output
    return result.stdout


def status(run: RunDir) -> dict[str, dict[str, object]]:
    """The run's stages, by name."""
    record = json.loads(told(headwater(run, "status", run.name, "--json")))
    return {stage["stage"]: stage for stage in record["stages"]}


def jobs(run: RunDir) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(told(headwater(run, "status", run.name, "--json")))[
        "jobs"
    ]
    return found


def until(is_so: Callable[[], object], pause_s: float = 0.2) -> None:
    deadline = time.monotonic() + 180
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(pause_s)


def checkpoints(run: RunDir) -> list[int]:
    """The steps that the training has kept whole."""
    return [
        int(path.parent.name.rpartition("-")[2])
        for path in run.checkpoints.glob("*/trainer_state.json")
    ]


def steps_of(events: EventReader) -> list[float]:
    """Which steps of the training the new events tell of."""
    told = (event for event in events.stream() if isinstance(event, Progress))
    return [event.done for event in told if event.done]


def tensors(run: RunDir) -> dict[str, Tensor]:
    files = [*sorted((run.root / "influence").rglob("*.safetensors")), run.scores]
    return {
        f"{file.relative_to(run.root)}:{name}": tensor
        for file in files
        for name, tensor in load_file(file).items()
    }


def assert_workers_help(run: RunDir) -> None:
    """Keeps the stage from its passes until both workers are there, then sees one compute."""
    until(lambda: read_offer(run, "factors"))
    state = SupervisorState.read(run)
    assert state
    assert state.stage_process
    pid = state.stage_process.pid

    def others() -> list[WorkerState]:
        return [one for _, one, _ in read_workers(run) if one.process.pid != pid]

    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: len(others()) == 2)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: any(one.parts_done for one in others()) or run.done("factors").exists(), 0.02)
    assert not run.done("factors").exists()


def test_a_run_through_slurm_with_two_workers_has_the_bits_of_one_without(
    run: RunDir, trained: RunDir, tmp_path: Path
) -> None:
    alone = copy(trained, tmp_path / "alone")
    numbers = told(
        headwater(run, "submit", "small", "factors", "scores", "--slurm", "--workers", "2",
                  "--mem", "2G", "--time", "10")
    ).split()  # fmt: skip
    assert_workers_help(run)
    run_here(alone, factors, scores)
    waited = headwater(run, "wait", "small")
    assert waited.exit_code == 0, waited.output
    until(lambda: {job["state"] for job in jobs(run)} == {"COMPLETED"})
    assert [job["job"] for job in jobs(run)][:1] == numbers[:1]
    assert {job["job"] for job in jobs(run)[1:]} == {f"{numbers[1]}_0", f"{numbers[1]}_1"}
    assert {name: status(run)[name]["state"] for name in ("factors", "scores")} == {
        "factors": "done",
        "scores": "done",
    }
    logs = [path.read_text() for path in run.slurm.glob("workers-*.log")]
    assert all("helping with factors of small" in log for log in logs), logs
    found, wanted = tensors(run), tensors(alone)
    assert found.keys() == wanted.keys()
    assert not [name for name in wanted if not torch.equal(found[name], wanted[name])]


def test_a_job_in_the_queue_is_seen_guards_the_run_and_can_be_taken_back(run: RunDir) -> None:
    options = ("--mem", "1G", "--", "--hold", "--comment=a b")
    told(headwater(run, "submit", "small", "factors", "--slurm", "--workers", "2", *options))
    stage = status(run)["factors"]
    assert stage["state"] == "queued"
    assert "waits in the queue (JobHeldUser" in str(stage["message"])
    for again in (
        ("submit", "small", "factors", "--slurm"),
        ("run", "factors", "--run", "small"),
        ("run", "factors", "--run", "small", "--settings", str(run.settings)),
        ("resume", "small"),
    ):
        refused = headwater(run, *again)
        assert (refused.exit_code, refused.stdout) == (3, ""), again
        assert "is submitted: Slurm job" in refused.stderr
    assert headwater(run, "cancel", "small").exit_code == 0
    stage = status(run)["factors"]
    assert stage["state"] == "cancelled"
    assert "`headwater submit small --slurm` goes on" in str(stage["message"])
    assert {job["state"] for job in jobs(run)} == {"CANCELLED"}
    assert headwater(run, "wait", "small").exit_code == 130


def test_a_job_at_work_is_cancelled_with_its_stage_and_the_next_goes_on(run: RunDir) -> None:
    shutil.rmtree(run.checkpoints)
    with_settings(run, {"train": LONG})
    told(headwater(run, "submit", "small", "train", "--slurm", "--mem", "2G"))
    until(lambda: checkpoints(run))
    cancelled = headwater(run, "cancel", "small")
    assert cancelled.exit_code == 0, cancelled.output
    assert status(run)["train"]["state"] == "cancelled"
    assert [job["state"] for job in jobs(run)] == ["CANCELLED"]
    kept = checkpoints(run)
    assert kept
    events = from_now(run)
    told(headwater(run, "submit", "small", "--slurm", "--mem", "2G"))
    steps: list[float] = []
    until(lambda: steps.extend(steps_of(events)) or steps)  # type: ignore[func-returns-value]
    assert steps[0] >= max(kept)
    assert headwater(run, "cancel", "small").exit_code == 0


def test_a_job_killed_for_memory_says_so_and_what_to_change(run: RunDir) -> None:
    told(headwater(run, "submit", "small", "factors", "--slurm", "--mem", "60M"))
    until(lambda: status(run)["factors"]["state"] == "failed")
    assert headwater(run, "wait", "small").exit_code == 1
    stage = status(run)["factors"]
    assert "too much memory, more than its 60M" in str(stage["message"])
    assert "--mem" in str(stage["message"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--partition", "nope"), "no partition nope\n  partitions: small (up to 1:00:00), closed"),
        (("--time", "soon"), "Slurm refuses stages.sh: Invalid --time specification"),
        (("--", "--no-such-option"), "unrecognized option"),
        (("--gpus-per-task", "1"), "Invalid generic resource (gres) specification"),
    ],
)
def test_what_slurm_refuses_is_said_and_leaves_no_job(
    run: RunDir, options: tuple[str, ...], message: str
) -> None:
    refused = headwater(run, "submit", "small", "factors", "--slurm", *options)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert not run.jobs.exists()


def test_a_refused_array_takes_its_stages_job_back(run: RunDir) -> None:
    options = ("--workers", "5000000", "--mem", "1G")
    refused = headwater(run, "submit", "small", "factors", "--slurm", *options, "--", "--hold")
    assert refused.exit_code == 2
    assert "Slurm refuses workers.sh" in refused.stderr
    assert not run.jobs.exists()
    assert headwater(run, "cancel", "small").stderr == "nothing is running in small\n"
