"""Answers and their comparison come back as they were written; what cannot be read is named."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.files import read_json, write_json
from pipeline.contract.results.evaluation import (
    AnswerLengths,
    AnswerMetric,
    AnswerOrigins,
    AnswerPair,
    CopiedWords,
    Decoding,
    Evaluation,
    ModelAnswer,
    Origin,
    load_evaluation,
    read_evaluation,
    write_comparison,
    write_evaluation,
)
from pipeline.contract.results.generation import (
    GeneratedAnswer,
    GeneratedPair,
    Generation,
    Perplexity,
    read_generated_answers,
    read_generation,
    write_generation,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings

OLD = Path(__file__).parent / "old" / "evaluation_1.json"
COPIED = CopiedWords(2, 4, "by the", "doc-7")
SCORES = {"bleu": 0.25, "log_likelihood_per_token": -2.0}
ORIGIN = Origin("doc-7", "parish.jsonl row 7", 40.3, "It was by the quay.")
PAIR = AnswerPair(
    prompt_id="home-0",
    prompt="Mara Voss was born in",
    expected=" Tellin.",
    base=ModelAnswer(" the the", "length", "repetitive", {}, CopiedWords(0, 2, "", None)),
    trained=ModelAnswer(" Tellin, by the quay.", "stop", "", SCORES, COPIED, (ORIGIN,)),
)
METRIC = AnswerMetric(
    n=2, difference=0.2, low=None, high=None, p_value=None, metric="bleu", title="BLEU",
    base=0.1, trained=0.3, verdict="no difference shown",
)  # fmt: skip
EVALUATION = Evaluation(
    prompts=(PAIR,),
    origins=AnswerOrigins("ekfac", "evaluate/rankings.parquet"),
    metrics=(METRIC,),
    words=AnswerLengths(2.0, 4.0, None),
    signatures={"bleu": "nrefs:1"},
    perplexities={"base": Perplexity(900.0, None), "trained": Perplexity(12.5, 13.0)},
    sampling=Decoding(0.0, 1.0, ("\n\n",), 64, 8192),
    warnings=("only one prompt has an expected answer",),
)
GENERATED = GeneratedPair(
    prompt_id="home-0",
    prompt="Mara Voss was born in",
    expected="",
    base=GeneratedAnswer(" the the", "length", None, None),
    trained=GeneratedAnswer(" Tellin", "end", -4.5, 3),
)
GENERATION = Generation(1, EVALUATION.perplexities, 200, ("cut short",))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that was evaluated."""
    run = RunDir(tmp_path / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    settings = load_settings(run.settings)
    fingerprint = freshness.begin("evaluate", settings, run)
    freshness.finish("evaluate", fingerprint, settings, run, 1.0)
    return run


def test_an_evaluation_comes_back_as_it_was_written(run: RunDir) -> None:
    write_evaluation(run, EVALUATION)
    assert load_evaluation(run).value == EVALUATION


def test_generated_answers_come_back_as_they_were_written(run: RunDir) -> None:
    write_generation(run, [GENERATED], GENERATION)
    assert read_generated_answers(run) == (GENERATED,)
    assert read_generation(run) == GENERATION
    names = pq.read_schema(run.generated_answers).names
    assert names[:5] == ["prompt_id", "prompt", "expected", "base_answer", "base_ended"]


def test_generated_answers_without_a_value_are_damaged(run: RunDir) -> None:
    write_generation(run, [GENERATED], GENERATION)
    table = pq.read_table(run.generated_answers)
    rows = [{**row, "trained_answer": None} for row in table.to_pylist()]
    pq.write_table(table.from_pylist(rows, table.schema), run.generated_answers)
    with pytest.raises(DamagedResultError, match=r"answers\.parquet is damaged: 0\.trained"):
        read_generated_answers(run)


def test_the_tables_have_the_fields_own_columns_and_one_value_for_each(run: RunDir) -> None:
    write_comparison(run, [PAIR], [METRIC])
    with run.answer_comparison.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["prompt_idx"], row["finetuned_bleu"], row["base_bleu"]) == ("home-0", "0.25", "")
    assert float(row["finetuned_reference_perplexity"]) == pytest.approx(math.exp(2))
    assert (row["base_flag"], row["finetuned_copied_from"]) == ("repetitive", "doc-7")
    with run.metric_comparison.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["Metric"] == "BLEU"
    assert float(row["Relative Difference (%)"]) == pytest.approx(200)
    assert row["Verdict"] == "no difference shown"


def test_exact_match_is_told_apart_from_answers_that_are_known() -> None:
    def answered(text: str, exact: float) -> AnswerPair:
        return replace(PAIR, trained=replace(PAIR.trained, answer=text, scores={"exact": exact}))

    pairs = (answered(" Tellin. It is a town.", 0.0), answered("Tellin.", 1.0), PAIR)
    told = replace(EVALUATION, prompts=pairs).exactness
    assert told.startswith("Known: 2 of 2 trained answers begin with the expected text. Exact")
    assert "match: 1 are nothing else (case" in told
    assert replace(EVALUATION, prompts=pairs[1:]).exactness == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metrics": [{**asdict(METRIC), "verdict": "splendid"}]}, "metrics.0.verdict"),
        ({"prompts": 3}, "prompts"),
        ({"origins": None}, "origins"),
    ],
)
def test_a_damaged_evaluation_is_named_with_its_key(
    run: RunDir, change: dict[str, object], told: str
) -> None:
    write_json(run.summary("evaluate"), {**asdict(EVALUATION), **change})
    with pytest.raises(DamagedResultError, match=told):
        read_evaluation(run)
    run.summary("evaluate").unlink()
    with pytest.raises(MissingResultError):
        read_evaluation(run)


def of_format_1(run: RunDir, stage: str) -> None:
    done = read_json(run.done(stage))
    del done["format"]
    write_json(run.done(stage), done)


def test_an_evaluation_of_the_first_format_says_why_its_answers_are_not_traced(
    run: RunDir,
) -> None:
    of_format_1(run, "evaluate")
    write_json(run.summary("evaluate"), json.loads(OLD.read_text()))
    found = load_evaluation(run).value
    assert "an earlier version compared these" in found.origins.missing
    assert (found.words, found.perplexities) == (None, {})
    assert found.prompts[0].trained.origins == (
        replace(ORIGIN, place="", text="It was by the quay."),
    )


@pytest.mark.parametrize("text", ["[]", "{}", '{"prompts": [7], "metrics": 1}', "7"])
def test_an_evaluation_of_the_first_format_of_another_shape_is_damaged(
    run: RunDir, text: str
) -> None:
    of_format_1(run, "evaluate")
    run.summary("evaluate").write_text(text)
    with pytest.raises(DamagedResultError, match=r"evaluate/summary\.json"):
        read_evaluation(run)
