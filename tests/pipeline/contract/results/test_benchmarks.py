"""Scores, questions and answers of benchmarks come back as they were written."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.files import append_json_lines, read_json, write_json
from pipeline.contract.results.benchmark_questions import (
    AnswerStore,
    BenchmarkAnswer,
    QuestionRow,
    read_questions,
    write_questions,
)
from pipeline.contract.results.benchmarks import (
    SCORINGS,
    WHOLE,
    BenchmarkComparison,
    Benchmarks,
    BenchmarkScore,
    load_benchmarks,
    read_benchmarks,
    way_of,
    write_benchmarks,
)
from pipeline.contract.results.generation import ModelName
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings

OLD = Path(__file__).parent / "old" / "benchmarks_1.json"
FOLDER = "deepeval_results/run_2026-01-02_03-04-05"
TASK = {"benchmark": "mmlu", "task": "law", "scored_by": "texts_by_length"}
BASE = BenchmarkScore(
    value=0.5, n=2, stderr=None, low=0.1, high=0.9, model="base", refused=1, chance=0.25, **TASK
)
TRAINED = replace(BASE, model="trained", value=1.0)
WRITTEN = replace(TRAINED, benchmark="gsm8k", task="gsm8k", scored_by="written", chance=0.0)
COMPARISON = BenchmarkComparison(
    n=2, difference=0.5, low=None, high=None, p_value=1.0, only_first=0, only_second=1,
    verdict="no difference shown", **TASK,
)  # fmt: skip
BENCHMARKS = Benchmarks(
    folder=FOLDER, deepeval="4.3.1", models={"base": "b", "trained": "t"}, shots={"mmlu": 5},
    limit=0, scores=(BASE, TRAINED, WRITTEN), comparisons=(COMPARISON,),
    skipped={"equitymedqa": "a paid model would have to judge"}, warnings=("cut",),
    seconds={"base": 1.5},
)  # fmt: skip


def row(question: str, model: ModelName, task: str = "law") -> QuestionRow:
    return QuestionRow(
        model=model, benchmark="mmlu", task=task, question_id=question, way="texts",
        scored_by="texts_by_length", examples="Q: …", prompt="Who?", choices=("a", "bbbb"),
        log_likelihoods=(-2.0, -4.0), gold=("bbbb",), prediction="a", text="", score=1.0,
        cut_tokens=0,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose benchmarks have finished."""
    run = RunDir(tmp_path / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    settings = load_settings(run.settings)
    fingerprint = freshness.begin("benchmark", settings, run)
    freshness.finish("benchmark", fingerprint, settings, run, 1.0)
    return run


def test_benchmarks_come_back_as_they_were_written(run: RunDir) -> None:
    write_benchmarks(run, BENCHMARKS)
    assert load_benchmarks(run).value == BENCHMARKS
    published = json.loads((run.root / FOLDER / "task_model_scores.json").read_text())
    assert published["scores"][0] == asdict(BASE)
    assert "folder" not in published


def test_scores_of_a_task_stand_together_with_their_comparison() -> None:
    law, written = BENCHMARKS.tasks()
    assert law.models == {"base": BASE, "trained": TRAINED}
    assert law.comparison == COMPARISON
    assert (written.benchmark, written.models, written.comparison) == (
        "gsm8k", {"trained": WRITTEN}, None,
    )  # fmt: skip


def test_every_scoring_belongs_to_a_way_and_fits_the_dashboards_column() -> None:
    assert {way_of(name) for name in SCORINGS} == {"letters", "texts", "written"}
    assert max(map(len, SCORINGS.values())) <= 15


def test_benchmarks_of_the_first_format_get_their_verdict(run: RunDir) -> None:
    done = read_json(run.done("benchmark"))
    del done["format"]
    write_json(run.done("benchmark"), done)
    old = json.loads(OLD.read_text())
    write_json(run.summary("benchmark"), old)
    assert read_benchmarks(run).comparisons[0].verdict == "better"
    old["comparisons"][0]["p_value"] = 0.2
    write_json(run.summary("benchmark"), old)
    assert read_benchmarks(run).comparisons[0].verdict == "no difference shown"
    old["comparisons"][0]["low"] = "little"
    write_json(run.summary("benchmark"), old)
    with pytest.raises(DamagedResultError, match=r"comparisons\.0\.low"):
        read_benchmarks(run)


def test_questions_of_a_score_are_read_with_both_replies(run: RunDir) -> None:
    rows = [row(question, model) for question in ("1", "2") for model in ("base", "trained")]
    write_questions(run, FOLDER, [*rows, row("3", "base", "ethics")])
    first, second = read_questions(run, FOLDER, "mmlu", "law", "texts_by_length")
    assert (first.id, second.id, set(first.replies)) == ("1", "2", {"base", "trained"})
    reply = first.replies["trained"]
    assert first.pick(reply) == "bbbb"  # -1 nat a character, against -2
    assert reply.shares == pytest.approx([0.881, 0.119], abs=1e-3)
    assert len(read_questions(run, FOLDER, "mmlu", WHOLE, "texts_by_length")) == 3
    assert read_questions(run, FOLDER, "mmlu", WHOLE, "letters") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"log_likelihoods": [-1.0]}, "question 1 has 1 log-likelihoods of 2 choices"),
        ({"prompt": None}, "column prompt has a row without a value"),
        ({"model": "newest"}, "there is no model 'newest'"),
    ],
)
def test_questions_that_cannot_be_are_damaged(
    run: RunDir, change: dict[str, object], told: str
) -> None:
    with pytest.raises(MissingResultError, match=r"questions\.parquet is gone"):
        read_questions(run, FOLDER, "mmlu", WHOLE, "texts_by_length")
    write_questions(run, FOLDER, [row("1", "base")])
    path = run.benchmark_questions(FOLDER)
    table = pq.read_table(path)
    (only,) = table.to_pylist()
    pq.write_table(table.from_pylist([{**only, **change}], table.schema), path)
    with pytest.raises(DamagedResultError, match=told):
        read_questions(run, FOLDER, "mmlu", WHOLE, "texts_by_length")


def test_answers_so_far_are_kept_but_for_a_torn_line(run: RunDir) -> None:
    store = AnswerStore(run, "mmlu", "base")
    assert store.read() == {}
    answers = [
        BenchmarkAnswer("1", "texts", "a", {"texts": 1.0}, (-1.0, -2.0), 3, ""),
        BenchmarkAnswer("2", "written", "", {}),
    ]
    store.add(answers)
    assert store.read() == {("1", "texts"): answers[0], ("2", "written"): answers[1]}
    path = run.benchmark_answers("mmlu", "base")
    path.write_bytes(path.read_bytes()[:-5])
    assert list(store.read()) == [("1", "texts")]
    append_json_lines(path, [{"question": "3"}])
    with pytest.raises(DamagedResultError, match=r"mmlu_base\.jsonl is damaged"):
        store.read()
