"""Trainings, indexing and benchmarks by several workers: what one alone finds, whoever is killed.

In each phase a worker is killed at its first part. The last phase is finished by four at once, more
than some of them have parts; the stage itself takes none.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline import worker
from pipeline.ask import chunks
from pipeline.contract.results.benchmark_questions import AnswerStore
from pipeline.contract.results.claims import Claims
from pipeline.contract.results.proofs import read_proofs
from pipeline.contract.results.validation import read_retrainings, read_validation
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.proving import write_claim
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer, read_offer, versions
from pipeline.contract.settings.loading import load_settings
from pipeline.evaluation.benchmarks import answer_parts
from pipeline.sharing import stage as sharing
from pipeline.stages import benchmark, index, prove, validate
from tests.small_runs import run_here

from .forked_workers import Workers
from .test_workers import is_gone, wait_until, with_settings


def found_by_training(run: RunDir) -> Any:
    """What every training came to, in no order."""
    return sorted((line.key, line.values) for line in read_retrainings(run))


def validated(run: RunDir) -> Any:
    return read_validation(run), found_by_training(run)


def proven(run: RunDir) -> Any:
    return replace(read_proofs(run)[-1], proven_at=0.0), found_by_training(run)


def indexed(run: RunDir) -> Any:
    return {path.name: path.read_bytes() for path in run.features.iterdir()}


def answered(run: RunDir) -> Any:
    return [AnswerStore(run, "boolq", model).read() for model in ("base", "trained")]


@dataclass(frozen=True)
class Case:
    """A stage, its phases, and what it finds."""

    module: ModuleType
    phases: tuple[str, ...]
    found: Callable[[RunDir], Any]

    @property
    def stage(self) -> str:
        return self.module.__name__.rpartition(".")[2]


CASES = {
    case.stage: case
    for case in (
        Case(validate, ("removal", "random halves"), validated),
        Case(prove, ("trainings",), proven),
        Case(index, ("features",), indexed),
        Case(benchmark, ("boolq · base", "boolq · trained"), answered),
    )
}


@pytest.fixture(scope="module")
def finished(finished_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through every stage, of whose own results of these stages nothing is left."""
    run = RunDir(shutil.copytree(finished_run.root, tmp_path_factory.mktemp("whole") / "run"))
    with_settings(run, validation={"subsets": 2, "dampings": [], "tail_patch": 0})
    claims = Claims(run)
    first = claims.first("river", 2)
    write_claim(run, claims.claim("river", first, claims.first_told(2), seeds=1))
    for stage in CASES:
        shutil.rmtree(run.stage(stage))
    shutil.rmtree(run.root / "deepeval_results")
    run.retrainings.unlink()
    run.proofs.unlink()
    return run


@pytest.fixture(autouse=True)
def _several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks of 16 examples; each answer is a part."""
    monkeypatch.setattr(chunks, "CHUNK", 16)
    monkeypatch.setattr(answer_parts, "PART", 1)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as started:
        yield started


@pytest.mark.parametrize("stage", CASES)
def test_killed_workers_and_more_than_there_are_parts_find_what_one_finds(
    stage: str,
    finished: RunDir,
    tmp_path: Path,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = CASES[stage]
    alone = RunDir(shutil.copytree(finished.root, tmp_path / "alone"))
    run_here(alone, case.module)
    shared = RunDir(shutil.copytree(finished.root, tmp_path / "shared"))
    monkeypatch.setattr(sharing, "_take_one", lambda *_: None)
    killed = []

    def help_stage() -> None:
        wait_until(lambda: read_offer(shared, stage) is not None)
        for phase in case.phases:  # the next one does the parts of this phase, and dies in the next
            pid = workers.start(stage, shared.root, dies_in=phase)
            wait_until(lambda pid=pid: is_gone(pid))  # type: ignore[misc]
            killed.append(phase)
        for _ in range(4):
            workers.start(stage, shared.root)

    helping = threading.Thread(target=help_stage, daemon=True)
    helping.start()
    run_here(shared, case.module)
    helping.join()
    assert killed == [*case.phases]
    assert case.found(shared) == case.found(alone)
    assert not shared.workers(stage).exists()


@pytest.mark.parametrize("stage", CASES)
def test_a_worker_of_another_version_or_other_settings_is_refused(
    stage: str, finished: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(shutil.copytree(finished.root, tmp_path / "run"))
    now = RunFreshness(load_settings(run.settings), run).fingerprint(stage)
    fingerprint = {"settings": now.settings, "inputs": now.inputs}
    Offer("token", fingerprint, {**versions(), "torch": "1.0"}).write(run, stage)
    assert worker.main(stage, run) == 2
    assert f"torch {versions()['torch']} here, 1.0 there" in capsys.readouterr().err
    Offer("token", {**fingerprint, "settings": "others"}, versions()).write(run, stage)
    assert worker.main(stage, run) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "settings.toml holds other settings than those that the stage was started with" in told
