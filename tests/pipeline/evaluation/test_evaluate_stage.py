"""Both models' answers and their comparison, on a real small model."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.results.evaluation import METRICS, read_evaluation
from pipeline.contract.results.generation import (
    read_generated_answers,
    read_generation,
    write_generation,
)
from pipeline.contract.results.training import read_training
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.words import pieces
from pipeline.evaluation.metrics import TextMetrics, oddity
from pipeline.stages import evaluate, generate
from tests.small_runs import as_written, run_here


@pytest.fixture(scope="module")
def compared(trained_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    root = tmp_path_factory.mktemp("compared") / "run"
    run = RunDir(shutil.copytree(trained_run.root, root))
    settings = load_settings(run.settings)
    for name, stage in (("generate", generate), ("evaluate", evaluate)):
        fingerprint = freshness.begin(name, settings, run)
        stage.run(settings, run, EventWriter(run.events, name))
        freshness.finish(name, fingerprint, settings, run, seconds=1.0)
    return run


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_answers_are_there_in_the_fields_own_forms(compared: RunDir) -> None:
    both = json.loads((compared.generated / "generated_answers.json").read_text())
    keys = ["prompt", "expected_completion", "base_completion", "finetuned_completion"]
    assert [list(one) for one in both] == [keys] * 2
    own = json.loads((compared.generated / "finetuned_generated_answers.json").read_text())
    assert [one["completion"] for one in own] == [one["finetuned_completion"] for one in both]


def answered(trained_run: RunDir, root: Path, seed: int, temperature: float) -> list[str]:
    """The trained model's answers as the stage writes them with this seed and temperature."""
    run = RunDir(shutil.copytree(trained_run.root, root))
    settings = load_settings(run.settings)
    settings = settings.model_copy(
        update={
            "run": settings.run.model_copy(update={"seed": seed}),
            "generate": settings.generate.model_copy(update={"temperature": temperature}),
        }
    )
    generate.run(settings, run, EventWriter(run.events, "generate"))
    written = json.loads((run.generated / "finetuned_generated_answers.json").read_text())
    return [one["completion"] for one in written]


def test_sampled_answers_follow_the_seed_and_greedy_ones_do_not(
    trained_run: RunDir, compared: RunDir, tmp_path: Path
) -> None:
    first, again, other = (
        answered(trained_run, tmp_path / name, seed, 1.0)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first == again
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))
    greedy = answered(trained_run, tmp_path / "greedy", 2, 0.0)
    both = json.loads((compared.generated / "generated_answers.json").read_text())
    assert greedy == [one["finetuned_completion"] for one in both]
    assert greedy != first


def test_every_metric_of_every_prompt_can_be_computed_again(compared: RunDir) -> None:
    table = rows(compared.comparison / "model_comparison.csv")
    measure = TextMetrics()
    for row in table:
        again = measure.score(row["finetuned_completion"], row["expected"])
        assert {name: float(row[f"finetuned_{name.lower()}"]) for name in METRICS} == again
        assert float(row["finetuned_reference_perplexity"]) < float(
            row["base_reference_perplexity"]
        )


def test_the_summary_is_the_mean_of_the_rows_and_claims_nothing_of_two_prompts(
    compared: RunDir,
) -> None:
    table = rows(compared.comparison / "model_comparison.csv")
    for row in rows(compared.comparison / "model_comparison_summary.csv")[: len(METRICS)]:
        name = next(key for key, title in METRICS.items() if title == row["Metric"])
        values = [float(one[f"finetuned_{name.lower()}"]) for one in table]
        assert float(row["Fine-tuned Model"]) == pytest.approx(sum(values) / len(values))
        assert row["Verdict"] == "no difference shown"
    assert "only 2 prompts" in read_evaluation(compared).warnings[0]
    assert (compared.comparison / "model_comparison_chart.png").stat().st_size > 1000


def test_the_average_length_of_answers_stands_beside_the_measures(compared: RunDir) -> None:
    table = rows(compared.comparison / "model_comparison.csv")
    words = read_evaluation(compared).words
    assert words is not None
    for found, column in ((words.base, "base_completion"), (words.expected, "expected")):
        assert found == sum(len(pieces(row[column])) for row in table) / len(table)


def test_perplexities_tell_training_from_held_out_text(compared: RunDir) -> None:
    found = read_generation(compared).perplexities
    training = read_training(compared)
    assert found["trained"].validation == pytest.approx(training.perplexity, rel=0.02)
    assert found["base"].validation == pytest.approx(training.base_perplexity, rel=0.02)


def test_answers_without_room_in_the_context_are_counted(
    trained_run: RunDir, tmp_path: Path
) -> None:
    run = RunDir(shutil.copytree(trained_run.root, tmp_path / "run"))
    settings = load_settings(run.settings)
    long = {"max_new_tokens": 508}  # of the model's 512
    settings = settings.model_copy(update={"generate": settings.generate.model_copy(update=long)})
    generate.run(settings, run, EventWriter(run.events, "generate"))
    (said,) = read_generation(run).warnings
    assert "no room for generate.max_new_tokens = 508" in said
    assert said.endswith("2 of 2 (river, baker)")


@pytest.mark.parametrize(
    ("expected", "said"),
    [(0, "the answers are shown, not measured"), (1, "only one prompt has an expected answer")],
)
def test_what_too_few_expected_answers_cannot_tell_is_said(
    compared: RunDir, tmp_path: Path, expected: int, said: str
) -> None:
    run = RunDir(shutil.copytree(compared.root, tmp_path / "run"))
    pairs = read_generated_answers(run)
    unmeasured = [replace(pair, expected="") for pair in pairs[expected:]]
    write_generation(run, [*pairs[:expected], *unmeasured], read_generation(run))
    as_written(run, "generate")
    run_here(run, evaluate)
    found = read_evaluation(run)
    assert said in found.warnings[0]
    assert all(metric.low is None and metric.p_value is None for metric in found.metrics)


def test_what_a_base_with_random_weights_says_is_no_news(compared: RunDir, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(compared.root, tmp_path / "run"))
    odd = [
        replace(pair, base=replace(pair.base, answer=""), trained=replace(pair.trained, answer=""))
        for pair in read_generated_answers(run)
    ]
    write_generation(run, odd, read_generation(run))
    as_written(run, "generate")
    assert load_settings(run.settings).model.init == "scratch"
    run_here(run, evaluate)
    told = [line for line in read_evaluation(run).warnings if line.startswith("empty answers")]
    assert [line.partition(": ")[0] for line in told] == ["empty answers of the trained model"]


def test_without_scores_no_influence_is_shown(compared: RunDir) -> None:
    assert not (compared.comparison / "influential_examples.md").exists()
    for pair in read_evaluation(compared).prompts:
        assert pair.trained.copies
        copied = pair.trained.copies.is_copied
        assert pair.trained.origin == ("copied" if copied else "not known")


def test_metrics_agree_on_equal_and_on_unlike_texts() -> None:
    measure = TextMetrics()
    same = measure.score("The baker sells bread and salt.", "The baker sells bread and salt.")
    assert same == pytest.approx(dict.fromkeys(METRICS, 1.0))
    assert measure.score("xyz", "The baker")["rouge1"] == 0.0
    assert "version:" in measure.signatures()["bleu"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [(" \n", "empty"), ("and so on " * 20, "repetitive"), ("A plain short answer.", "")],
)
def test_empty_and_repetitive_answers_are_flagged(text: str, kind: str) -> None:
    assert oddity(text) == kind
