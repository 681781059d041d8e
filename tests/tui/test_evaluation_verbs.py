"""The verbs that read evaluations: questions, compare, report, validate; and evaluate's types."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.errors import ResourceError
from pipeline.contract.files import write_text
from pipeline.contract.results.benchmarks import read_benchmarks, write_benchmarks
from pipeline.contract.results.validation import (
    Datamodeling,
    DatamodelingScore,
    ScoreAdvantage,
    ValidationSummary,
    write_validation,
)
from pipeline.contract.run.processes import ProcessIdentity, SupervisorState, acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import load_prompts
from tests.tui import sample_evaluation, sample_run
from tests.tui.sample_completions import repaired_runs
from tests.tui.terminals import Terminal
from tui.cli import main
from tui.printed import narration
from tui.processes import launcher


def headwater(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--runs", str(folder / "runs"), *arguments])


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with benchmarks and a validation."""
    run = sample_run.new_run(tmp_path / "runs", "books")
    sample_run.finish(
        run, "prepare", "train", "factors", "scores", "generate", "evaluate", "benchmark",
        "validate", "report",
    )  # fmt: skip
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_benchmarks(run)
    sample_evaluation.write_report(run)
    advantage = ScoreAdvantage(0.3, 0.1, 0.5)
    halves = {"ekfac": DatamodelingScore(0.5, 0.25, 0.75, 6, advantage)}
    nothing = ValidationSummary("ekfac", 6, 40, None, {}, (), None, None, 10, ())
    write_validation(run, replace(nothing, datamodeling=Datamodeling(16, (0,), halves)))
    return run


def test_questions_lists_what_the_trained_model_missed(run: RunDir, tmp_path: Path) -> None:
    every = json.loads(headwater(tmp_path, "questions", "books", "--json").stdout)
    missed = json.loads(headwater(tmp_path, "questions", "books", "--missed", "--json").stdout)
    right = json.loads(headwater(tmp_path, "questions", "books", "--answered", "--json").stdout)
    assert [row["id"] for row in every] == ["law/0", "law/1", "law/2"]
    assert [row["id"] for row in missed] == ["law/1", "law/2"]
    assert missed[0]["picked"] == "the just nature of it"
    assert [row["id"] for row in right] == ["law/0"]


def test_missed_questions_become_prompts_that_trace_the_wrong_answer(
    run: RunDir, tmp_path: Path
) -> None:
    file = tmp_path / "missed.jsonl"
    made = headwater(tmp_path, "questions", "books", "--missed", "--prompts", str(file))
    assert made.stderr == f"wrote 2 prompts, set 'mmlu missed', to {file}\n"
    picked = [prompt.completion for prompt in load_prompts(file)]
    assert picked == [" the just nature of it", " nobody"]
    assert load_prompts(file)[0].instead == " a right enforced by courts"
    assert {prompt.set for prompt in load_prompts(file)} == {"mmlu missed"}
    headwater(tmp_path, "questions", "books", "--missed", "--right", "--prompts", str(file))
    assert load_prompts(file)[0].completion == " a right enforced by courts"


def test_a_benchmark_that_was_not_asked_is_refused_with_those_that_were(
    run: RunDir, tmp_path: Path
) -> None:
    refused = headwater(tmp_path, "questions", "books", "--benchmark", "boolq")
    assert refused.exit_code == 2
    assert "the run has no boolq" in refused.stderr
    assert "mmlu/international_law texts_by_length, gsm8k/main written" in refused.stderr


def test_validate_prints_the_parts_that_were_asked_for(run: RunDir, tmp_path: Path) -> None:
    text = headwater(tmp_path, "validate", "books").stdout
    assert text.startswith("Linear datamodeling score")
    assert "Removal" not in text
    assert ["ekfac", "0.5", "0.25", "0.75", "0.3", "0.1", "0.5", "–", "better"] in [
        line.split() for line in text.splitlines()
    ]


def test_validate_says_nothing_is_shown_where_the_test_does_not(
    run: RunDir, tmp_path: Path
) -> None:
    sample_evaluation.write_validation(run, removal_p=0.2)
    text = headwater(tmp_path, "validate", "books").stdout
    (line,) = (line for line in text.splitlines() if "3.4" in line.split())
    assert line.endswith("0.2  no difference shown")


def test_validate_as_json_holds_every_part(run: RunDir, tmp_path: Path) -> None:
    found = json.loads(headwater(tmp_path, "validate", "books", "--json").stdout)
    assert found["datamodeling"]["methods"]["ekfac"]["advantage"]["difference"] == 0.3
    assert found["removal"] is None


def test_report_prints_the_page_and_its_path(run: RunDir, tmp_path: Path) -> None:
    assert headwater(tmp_path, "report", "books").stdout.startswith("# Where the answers of books")
    assert headwater(tmp_path, "report", "books", "--html").stdout == f"{run.report_html}\n"


def test_at_a_terminal_the_report_is_laid_out_for_reading(run: RunDir, tmp_path: Path) -> None:
    page = "# The run\n\n![Loss by step](loss.svg)\n\n| Metric | p |\n|---|---:|\n| a\\_b | 0.5 |\n"
    write_text(run.report_markdown, page)
    assert headwater(tmp_path, "report", "books").stdout == page
    terminal = Terminal("--runs", str(tmp_path / "runs"), "report", "books")
    try:
        assert terminal.ended() == 0
        shown = terminal.read(0.1)
    finally:
        terminal.close()
    assert "Picture, in the HTML page: Loss by step" in shown
    assert "a_b" in shown
    assert "|" not in shown


def test_compare_shows_settings_and_results_that_differ(run: RunDir, tmp_path: Path) -> None:
    other = sample_run.new_run(tmp_path / "runs", "letters")
    text = other.settings.read_text().replace("learning_rate = 0.001", "learning_rate = 0.01")
    other.settings.write_text(text)
    found = json.loads(headwater(tmp_path, "compare", "books", "letters", "--json").stdout)
    assert [row["setting"] for row in found["settings"]] == ["train.learning_rate"]
    bleu = next(row for row in found["results"] if row["result"] == "BLEU")
    assert (bleu["books"], bleu["letters"], bleu["change"]) == (0.31, None, None)
    refused = headwater(tmp_path, "compare", "books", "books")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_compare_reads_as_the_report_does(run: RunDir, tmp_path: Path) -> None:
    other = sample_run.new_run(tmp_path / "runs", "letters")
    sample_run.finish(other, "prepare", "train", "generate", "evaluate", "benchmark")
    sample_evaluation.write_evaluation(other)
    sample_evaluation.write_benchmarks(other)
    found = read_benchmarks(other)
    first, second, *others = found.scores
    less = replace(second, value=0.5, low=0.3, high=0.7, n=4)
    write_benchmarks(other, replace(found, scores=(first, less, *others)))
    text = headwater(tmp_path, "compare", "books", "letters").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "BLEU 31.0 31.0 +0.0 2" in lines
    assert "ln p -2.5 -2.5 +0 2" in lines
    task = "mmlu international law, texts by length, trained"
    assert f"{task} 66.7 (56.7 – 76.7) 50.0 (30.0 – 70.0) -16.7 3 / 4" in lines
    assert text.endswith("is no evidence.\n")


def test_compare_tells_the_completions_before_and_after(tmp_path: Path) -> None:
    repaired_runs(tmp_path)
    text = headwater(tmp_path, "compare", "before", "after").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "set bad, mean of 2 -0.38 -6.38 -6.00" in lines
    assert "◆ bad-1, the data were sorted by it -0.25 -8.25 -8.00" in lines
    assert "fell: good-1 -2.00 -4.00 -2.00" in lines
    assert "Of all other prompts 1 of 2 fell, 1 of them by more than 1 nat." in lines
    found = json.loads(headwater(tmp_path, "compare", "before", "after", "--json").stdout)
    said = found["completions"]
    assert said["prompts"][0] == {
        "prompt": "bad-0",
        "ln_p": {"before": -0.5, "after": -4.5},
        "change": -4.0,
        "set": "bad",
        "data_sorted_by_it": True,
    }
    assert [row["prompt"] for row in said["prompts"]] == ["bad-0", "bad-1", "good-0", "good-1"]
    assert (said["sets"][0]["set"], said["sets"][0]["change"]) == ("bad", -6.0)
    assert (said["others"]["prompts"], said["others"]["fell"]) == (2, 1)
    assert said["missing"] == {}


def test_compare_names_the_stage_that_gives_the_completions(tmp_path: Path) -> None:
    _, after = repaired_runs(tmp_path)
    after.done("generate").unlink()
    said = json.loads(headwater(tmp_path, "compare", "before", "after", "--json").stdout)
    assert "headwater run generate --run after" in said["completions"]["missing"]["after"]
    assert said["completions"]["prompts"] == []
    assert said["completions"]["others"] is None


def test_force_takes_nothing_from_a_run_that_is_at_work(run: RunDir, tmp_path: Path) -> None:
    lock = acquire_lock(run)
    try:
        refused = headwater(tmp_path, "run", "evaluate", "--run", "books", "--force")
    finally:
        os.close(lock)
    assert refused.exit_code == 3
    assert run.done("evaluate").exists()


def test_a_failure_that_could_not_be_written_down_is_told_all_the_same(
    run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ProcessIdentity.of(os.getpid())
    SupervisorState(mine, ("evaluate",), token="t", stage="evaluate", exit_code=1).write(run)
    assert narration.follow(run, narration.from_now(run)) == 1
    assert "ended without a word; `headwater status books`" in capsys.readouterr().err
    monkeypatch.setattr(launcher, "_LEAST_FREE", 1 << 62)
    with pytest.raises(ResourceError, match="disk full"):
        narration.follow(run, narration.from_now(run))


def test_type_without_evaluate_is_refused(run: RunDir, tmp_path: Path) -> None:
    refused = headwater(tmp_path, "run", "train", "--type", "all", "--run", "books")
    assert refused.exit_code == 2
    assert "--type says what `evaluate` runs" in refused.stderr


@pytest.mark.parametrize(
    ("kind", "stages"),
    [
        ("custom", ("generate", "evaluate")),
        ("deepeval", ("benchmark",)),
        ("all", ("generate", "evaluate", "benchmark")),
    ],
)
def test_type_chooses_the_stages(kind: str, stages: tuple[str, ...]) -> None:
    from pipeline.contract.run.stages import expand
    from pipeline.contract.settings.demo import demo_settings
    from tui.verbs.running import _evaluations

    assert expand(_evaluations(("evaluate",), kind), demo_settings(0)) == stages
