"""`headwater plan`: what a run will take, as a table or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.results.plan import Advice, read_plan
from pipeline.contract.settings.loading import load_settings
from tests.small_runs import prepare_run
from tests.tui.sample_plan import small_plan
from tui.cli import main
from tui.printed.plan import plan_text


def plan(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--runs", str(folder), "plan", *arguments])


def test_a_runs_plan_is_of_its_own_corpus_and_kept_beside_it(tmp_path: Path) -> None:
    run = prepare_run(tmp_path / "mine")
    found = json.loads(plan(tmp_path, "mine", "--json").stdout)
    assert (found["counts"]["examples"], found["counts"]["prompts"]) == (48, 2)
    assert [stage["stage"] for stage in found["by_stage"]] == [
        "train",
        "factors",
        "scores",
        "generate",
    ]
    assert read_plan(run).counts.examples == 48
    told = plan(tmp_path, "mine", "--gpu", "A100-80GB", "--prompts", "100")
    assert told.exit_code == 0
    assert "on A100-80GB" in told.stdout
    assert "GPU memory" in told.stdout
    assert read_plan(run).hardware.kind == "cpu"  # a card that is not here is no plan of the run


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    prepare_run(tmp_path / "mine")
    unknown = plan(tmp_path, "mine", "--gpu", "Voodoo2")
    assert unknown.exit_code == 2
    assert "--gpu Voodoo2: not known; valid: H200" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine", "--gpu", "L4", "--memory", "24GiB"), "exclude each other"),
        (("mine", "--memory", "much"), "write a number and GiB"),
        (("yours",), "there is no run 'yours'"),
    ],
)
def test_nothing_is_planned_of_what_makes_no_sense(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "settings.toml").touch()
    refused = plan(tmp_path, *arguments)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_advice_is_a_reason_and_settings_below_it(tmp_path: Path) -> None:
    run = prepare_run(tmp_path / "mine")
    advice = Advice("it is too large", {"scores": {"module_partitions": 2}})
    found = small_plan(load_settings(run.settings), run, advice)
    text = plan_text(found)
    assert text.endswith("# it is too large\n[scores]\nmodule_partitions = 2")
    assert "scores of all prompts in 2 passes over the data, 25 prompts in each" in text
    assert "factors: ekfac lambda: weights 3.0 GiB\n" in text  # crumbs are left out
    assert "1 min 35 s" in text
