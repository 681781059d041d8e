"""ln p of completions before and after: what was to change, and what was not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.results.generation import Generation, write_generation
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tests.tui.sample_completions import BEFORE, repaired_runs
from tui.readers.completions import completions


@pytest.fixture
def runs(tmp_path: Path) -> tuple[RunDir, RunDir]:
    return repaired_runs(tmp_path)


def test_prompts_that_sorted_the_data_stand_apart_from_those_that_must_not_suffer(
    runs: tuple[RunDir, RunDir],
) -> None:
    found = completions(runs)
    assert [(row.name, row.ln_p, row.change) for row in found.aims] == [
        ("bad-0", (-0.5, -4.5), -4.0),
        ("bad-1", (-0.25, -8.25), -8.0),
    ]
    assert [row.name for row in found.others] == ["good-1", "good-0"]  # the one that fell first
    assert found.others_told() == "1 of 2 fell, 1 of them by more than 1 nat"
    (bad,) = found.sets
    assert (bad.name, bad.prompts, bad.ln_p) == ("bad", 2, (-0.375, -6.375))
    assert found.of_others is not None
    assert found.of_others.ln_p == (-1.5, -2.25)


def test_the_order_of_the_runs_is_that_of_the_figures(runs: tuple[RunDir, RunDir]) -> None:
    assert [row.change for row in completions(runs[::-1]).aims] == [4.0, 8.0]


def test_a_prompt_without_a_completion_has_no_figure(runs: tuple[RunDir, RunDir]) -> None:
    assert "open" not in {row.name for row in completions(runs).rows}


def test_a_run_without_answers_is_named_with_the_stage_that_gives_them(
    runs: tuple[RunDir, RunDir],
) -> None:
    runs[1].done("generate").unlink()
    found = completions(runs)
    assert not found.rows
    ((name, why),) = found.missing
    assert name == "after"
    assert "headwater run generate --run after" in why


def test_figures_of_other_settings_are_not_shown_as_those_of_now(
    runs: tuple[RunDir, RunDir],
) -> None:
    settings = runs[1].settings
    settings.write_text(settings.read_text().replace("seed = 0", "seed = 1", 1))
    ((name, why),) = completions(runs).missing
    assert (name, "stale" in why) == ("after", True)


def test_without_a_curation_all_prompts_are_others(tmp_path: Path) -> None:
    before, after = repaired_runs(tmp_path)
    (tmp_path / "data" / "curation.json").unlink()
    found = completions((before, after))
    assert (len(found.aims), len(found.others)) == (0, sum(value is not None for value in BEFORE))
    assert found.others_name == "all prompts"


def test_a_damaged_record_of_the_curation_is_named(runs: tuple[RunDir, RunDir]) -> None:
    record = runs[0].root.parents[1] / "data" / "curation.json"
    record.write_text('{"prompts": 5}')
    with pytest.raises(DamagedResultError, match=r"curation\.json is damaged"):
        completions(runs)


def test_runs_without_a_prompt_in_common_have_no_rows(tmp_path: Path) -> None:
    before, _ = repaired_runs(tmp_path)
    other = sample_run.new_run(tmp_path / "runs", "other")
    sample_run.finish(other, "prepare", "train", "generate")
    shutil.copy(before.prepared_prompts, other.prepared_prompts)
    write_generation(other, [], Generation(0, {}, 0, ()))
    assert completions((before, other)).rows == ()
