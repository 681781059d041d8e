"""What Slurm's tools print is read: `slurm_said/scontrol.txt` is what version 22.05 printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contract.errors import DamagedResultError, RunBusyError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import (
    GONE,
    JobState,
    Submission,
    is_submitted,
    refuse_submitted,
    stages_job,
    write_job_states,
)
from pipeline.contract.run.slurm_words import ending, waiting
from pipeline.contract.run.status import run_status
from pipeline.contract.settings.loading import load_settings
from tests.tui import sample_run
from tui.processes.slurm_states import ended_for_memory, parse_sacct, parse_scontrol

SAID = Path(__file__).parent / "slurm_said" / "scontrol.txt"


@pytest.fixture(scope="module")
def states() -> dict[str, JobState]:
    """The jobs that were really run, by their numbers."""
    return {state.job: state for state in parse_scontrol(SAID.read_text())}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = sample_run.scored_run(tmp_path, "books")
    run.done("scores").unlink()
    run.slurm.mkdir()
    return run


def submitted(run: RunDir, state: JobState | None) -> RunDir:
    Submission("18", ("factors", "scores")).write(run)
    if state:
        write_job_states(run, [replace(state, job="18")])
    return run


def scores_of(run: RunDir) -> tuple[str, str]:
    stages = {one.stage: one for one in run_status(run, load_settings(run.settings))}
    return stages["scores"].state, stages["scores"].message


def test_states_of_jobs_and_tasks_are_read(states: dict[str, JobState]) -> None:
    assert {job: state.state for job, state in states.items()} == {
        "18": "TIMEOUT",
        "19": "FAILED",
        "20": "NODE_FAIL",
        "21": "RUNNING",
        "11": "FAILED",
        "23_0-8": "CANCELLED",
        "15": "COMPLETED",
        "16_1": "COMPLETED",
        "16_0": "COMPLETED",
        "6_0-3": "PENDING",
    }
    assert states["18"] == JobState(
        "18", "TIMEOUT", "TimeLimit", "node1", signal=15, seconds=60.0, limit=60.0, memory="60M"
    )
    assert states["6_0-3"].reason == "Priority"
    assert not states["6_0-3"].nodes
    assert {job for job, state in states.items() if state.is_active} == {"21", "6_0-3"}


def test_days_and_no_limit_are_read(states: dict[str, JobState]) -> None:
    line = SAID.read_text().splitlines()[0]
    longer = line.replace("TimeLimit=00:01:00", "TimeLimit=2-01:00:00")
    assert parse_scontrol(longer)[0].limit == 49 * 3600
    unlimited = line.replace("TimeLimit=00:01:00", "TimeLimit=UNLIMITED")
    assert parse_scontrol(unlimited)[0].limit is None


def test_accounting_tells_of_jobs_that_the_controller_has_forgotten() -> None:
    text = "12|CANCELLED by 1000|0:15|95|1440|node1|4G|None\n13_1|TIMEOUT|0:0|60|1||2G|\n"
    assert parse_sacct(text) == [
        JobState("12", "CANCELLED", "", "node1", 0, 15, 95.0, 86400.0, "4G"),
        JobState("13_1", "TIMEOUT", "", "", 0, 0, 60.0, 60.0, "2G"),
    ]
    assert parse_sacct("Slurm accounting storage is disabled\n") == []


@pytest.mark.parametrize(
    ("job", "state", "message"),
    [
        ("18", "failed", "reached its time limit of 1 min 00 s on node1"),
        ("19", "failed", "reached its time limit of 1 min 00 s on node1"),  # asked to stop, did
        ("20", "lost", "lost its node on node1: NODE_FAIL"),
        ("23_0-8", "cancelled", "was cancelled"),
        ("11", "lost", "was killed by signal 9 on node1"),
    ],
)
def test_the_stage_that_a_job_ended_in_says_how(
    states: dict[str, JobState], run: RunDir, job: str, state: str, message: str
) -> None:
    found, told = scores_of(submitted(run, states[job]))
    assert (found, message in told) == (state, True), told
    assert "`headwater submit books --slurm` goes on" in told
    assert not is_submitted(run)


def test_a_job_killed_for_memory_is_told_from_its_log(
    states: dict[str, JobState], run: RunDir
) -> None:
    log = run.slurm / "stages-11.log"
    log.write_text("slurmstepd: error: StepId=11.batch exceeded memory limit (329728000 > 1)\n")
    killed = ended_for_memory(states["11"], run)
    told = ending(killed, "books")
    assert told
    assert told[0] == "failed"
    assert "too much memory, more than its 60M" in told[1]
    log.write_text("something else\n")
    assert ended_for_memory(states["11"], run).state == "FAILED"


@pytest.mark.parametrize("state", ["PREEMPTED", GONE, "DEADLINE", "BOOT_FAIL"])
def test_other_ends_are_told_too(run: RunDir, state: str) -> None:
    found, told = scores_of(submitted(run, JobState("18", state)))
    assert found == "lost"
    assert "Slurm" in told


def test_a_stage_that_failed_by_itself_keeps_its_own_words(run: RunDir) -> None:
    assert ending(JobState("18", "FAILED", exit_code=1), "books") is None
    assert ending(JobState("18", "COMPLETED"), "books") is None


def test_a_job_that_waits_says_why(states: dict[str, JobState], run: RunDir) -> None:
    assert waiting(states["6_0-3"]).endswith("waits in the queue (Priority: others come first)")
    found, told = scores_of(submitted(run, states["6_0-3"]))
    assert (found, told[:12]) == ("queued", "Slurm job 18")
    assert waiting(states["21"]) == "Slurm job 21 is running on node1"


def test_a_run_is_guarded_as_soon_as_it_is_submitted(run: RunDir) -> None:
    refuse_submitted(run)
    with pytest.raises(RunBusyError, match="Slurm job 18, which waits"):
        refuse_submitted(submitted(run, None))


def test_a_record_of_another_shape_is_refused(run: RunDir) -> None:
    for content in ('{"stages": []}', '{"stages_job": "; rm", "stages": []}', "[]"):
        run.jobs.write_text(content)
        with pytest.raises(DamagedResultError, match="does not name the run's Slurm jobs"):
            stages_job(run)
