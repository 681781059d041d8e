"""A validation comes back as it was written, and its figures are found by one rule."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.files import write_json
from pipeline.contract.results.scores import Retrieval
from pipeline.contract.results.validation import (
    PARTS,
    Agreement,
    DampingAgreement,
    Datamodeling,
    DatamodelingScore,
    Finding,
    Removal,
    RemovalEffect,
    Retraining,
    ScoreAdvantage,
    TailPatch,
    TailPatchEffect,
    ValidationSummary,
    append_retraining,
    findings,
    read_retrainings,
    read_validation,
    write_validation,
)
from pipeline.contract.results.verdict import Difference, Estimate
from pipeline.contract.run.run_dir import RunDir

OLD = Path(__file__).parent / "old" / "validation_1.json"
MEAN = Estimate(4.4, 2, 0.5, 3.9, 5.0)
MORE = Difference(2, 4.0, 3.4, 4.5, 0.03)
SUMMARY = ValidationSummary(
    default_method="ekfac",
    prompts=2,
    examples=48,
    tail_patch=TailPatch(2, 1e-3, {"ekfac": TailPatchEffect(MEAN, MORE, {"a": 0.1, "b": None})}),
    dampings={"ekfac, damping 0.1": DampingAgreement(0.9, 0.8, 0.7, Retrieval(0.5, 5, 0.4, 0.0))},
    refits=(Agreement(0.6, 0.5, 0.4),),
    removal=Removal(
        3, 1, (0, 1), {"ekfac": 6, "random": 6}, None,
        {"ekfac": RemovalEffect(MEAN, MORE, {}), "random": RemovalEffect(MEAN, None, {})},
    ),
    datamodeling=Datamodeling(
        4, (0,), {"ekfac": DatamodelingScore(0.5, 0.2, 0.7, 2, ScoreAdvantage(0.1, -0.1, 0.3))}
    ),
    stability_top=10,
    warnings=("one training diverged",),
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "demo")


def test_a_summary_comes_back_as_it_was_written(run: RunDir) -> None:
    write_validation(run, SUMMARY)
    assert read_validation(run) == SUMMARY


def test_every_part_tells_its_estimate_and_its_advantage(run: RunDir) -> None:
    found = {part: list(findings(SUMMARY, part)) for part in PARTS}
    assert found["removal"] == [
        Finding("removal", "ekfac", MEAN, MORE),
        Finding("removal", "random", MEAN),
    ]
    assert found["tail_patch"] == [Finding("tail_patch", "ekfac", MEAN, MORE)]
    (score,) = found["datamodeling"]
    assert score.estimate == Estimate(0.5, 2, None, 0.2, 0.7)
    assert score.advantage == Difference(2, 0.1, -0.1, 0.3, None)
    damped, again = found["stability"]
    assert (damped.name, damped.estimate.value, damped.estimate.low) == (
        "ekfac, damping 0.1", 0.9, 0.8,
    )  # fmt: skip
    assert again.name == "other labels sampled (1)"
    assert again.agreement == Agreement(0.6, 0.5, 0.4)


def test_parts_that_were_not_asked_for_find_nothing(run: RunDir) -> None:
    nothing = ValidationSummary("ekfac", 2, 48, None, {}, (), None, None, 10, ())
    assert [list(findings(nothing, part)) for part in PARTS] == [[]] * len(PARTS)


def test_a_summary_of_format_1_is_read_as_it_is(run: RunDir) -> None:
    run.summary("validate").parent.mkdir(parents=True)
    shutil.copy(OLD, run.summary("validate"))
    summary = read_validation(run)
    (ekfac, *_) = findings(summary, "datamodeling")
    assert ekfac.advantage == Difference(6, 0.32, 0.16, 0.44, None)
    assert summary.removal is not None
    assert summary.removal.methods["ekfac"].drop.value == 4.4


def test_a_key_of_another_type_is_named(run: RunDir) -> None:
    write_json(run.summary("validate"), {"default_method": "ekfac", "prompts": "many"})
    with pytest.raises(DamagedResultError, match=r"validate/summary\.json is damaged: prompts"):
        read_validation(run)
    run.summary("validate").unlink()
    with pytest.raises(MissingResultError, match=r"validate/summary\.json is gone"):
        read_validation(run)


def test_what_trainings_came_to_outlives_a_torn_line(run: RunDir) -> None:
    assert read_retrainings(run) == ()
    first, second = Retraining("base 1", (-1.5, None)), Retraining("base 2", (-2.0, -3.0))
    append_retraining(run, first)
    with run.retrainings.open("a") as file:
        file.write('\n{"key": "ba')
    append_retraining(run, second)
    assert read_retrainings(run) == (first, second)


def test_a_line_of_another_shape_is_damaged(run: RunDir) -> None:
    append_retraining(run, Retraining("base 1", (-1.5,)))
    with run.retrainings.open("a") as file:
        file.write('\n{"key": "base 2", "values": "none"}')
    with pytest.raises(DamagedResultError, match=r"retrainings\.jsonl is damaged: 1\.values"):
        read_retrainings(run)
