"""The benchmark stage on a real small model: results, resuming, and nothing outside the run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DataError, SettingsError
from pipeline.contract.files import write_text
from pipeline.contract.results.benchmarks import Benchmarks, read_benchmarks
from pipeline.contract.run.events import Cancelled, EventReader, EventWriter, Failed, Progress
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings
from pipeline.stages import benchmark
from tests.pipeline.evaluation.conftest import ROWS, path_of

ROOT = Path(__file__).parents[3]
NO_NETWORK = """
import runpy, socket, sys
def refuse(*_):
    with open(sys.argv[-1] + "/network_tried", "w"):
        raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
sys.argv = ["pipeline", "benchmark", sys.argv[1]]
runpy.run_module("pipeline", run_name="__main__")
"""


def chosen(run: RunDir, rows: Path, root: Path, *names: str, **more: Any) -> RunDir:
    """A copy of the run that asks for these benchmarks."""
    shutil.copytree(run.root, root)
    values = load_settings(run.settings).model_dump()
    values["benchmark"] |= {"chosen": list(names), "data": str(rows), **more}
    copy = RunDir(root)
    write_text(copy.settings, render_settings(Settings.model_validate(values)))
    return copy


def run_here(run: RunDir) -> Benchmarks:
    benchmark.run(load_settings(run.settings), run, EventWriter(run.events, "benchmark"))
    return read_benchmarks(run)


EVERY = (
    "mmlu/business_ethics", "hellaswag", "truthfulqa/mc1", "truthfulqa/mc2", "arc/challenge",
    "boolq", "winogrande", "mathqa", "logiqa", "bbq/Age", "gsm8k", "lambada", "drop/nfl_649",
    "squad", "bbh/navigate", "bbh/word_sorting", "ifeval", "humaneval", "equitymedqa",
)  # fmt: skip


@pytest.fixture(scope="module")
def everything(
    trained_run: RunDir, rows_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunDir:
    """All benchmarks, answered by both models."""
    root = tmp_path_factory.mktemp("every") / "run"
    run = chosen(trained_run, rows_folder, root, *EVERY, max_new_tokens=8, run_code=True)
    run_here(run)
    return run


def test_every_benchmark_is_scored_for_both_models(everything: RunDir) -> None:
    summary = read_benchmarks(everything)
    names = {name.split("/")[0] for name in EVERY}
    assert {row.benchmark for row in summary.scores} == names - {"equitymedqa"}
    assert {row.model for row in summary.scores} == {"base", "trained"}
    for row in summary.scores:
        assert row.low is not None
        assert row.high is not None
        assert 0 <= row.low <= row.value <= row.high <= 1 or row.n == 1
        assert row.refused == 0 or row.benchmark in ("boolq", "squad", "logiqa")
    assert list(summary.skipped) == ["equitymedqa"]
    assert any("equitymedqa is skipped" in message for message in summary.warnings)
    written = everything.root / summary.folder / "task_model_scores.json"
    assert json.loads(written.read_text())["scores"] == [asdict(row) for row in summary.scores]


def test_scores_stand_beside_chance_and_are_named_for_how_they_were_scored(
    everything: RunDir,
) -> None:
    rows = read_benchmarks(everything).scores
    chances = {(row.benchmark, row.scored_by): row.chance for row in rows}
    assert chances["mmlu", "letters"] == chances["mmlu", "texts_by_length"] == 0.25
    assert chances["boolq", "texts"] == chances["truthfulqa", "texts_mass"] == 0.5
    assert chances["gsm8k", "written"] == chances["lambada", "texts"] == 0.0


def test_every_answer_is_a_row_from_which_its_score_can_be_found_again(
    everything: RunDir,
) -> None:
    summary = read_benchmarks(everything)
    rows = pq.read_table(everything.root / summary.folder / "questions.parquet").to_pylist()
    ranked = [row for row in rows if row["scored_by"] in ("letters", "texts")
              and len(row["choices"]) > 1 and row["score"] is not None]  # fmt: skip
    assert len(ranked) > 40
    for row in ranked:
        likeliest = row["choices"][int(np.argmax(row["log_likelihoods"]))]
        assert row["prediction"] == likeliest
        assert row["score"] == float(likeliest in row["gold"])
    ethics = [row for row in ranked if (row["benchmark"], row["model"], row["scored_by"]) ==
              ("mmlu", "base", "letters")]  # fmt: skip
    gaps = [row for row in ranked if (row["benchmark"], row["way"]) == ("winogrande", "texts")]
    assert all(len(set(row["choices"])) == 2 for row in gaps)
    score = next(row for row in summary.scores if (row.benchmark, row.model,
                 row.scored_by) == ("mmlu", "base", "letters"))  # fmt: skip
    assert np.mean([row["score"] for row in ethics]) == score.value


def test_named_tasks_are_scored_each(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    kinds = ["logiqa/Categorical Reasoning", "logiqa/Conjunctive Reasoning"]
    run = chosen(trained_run, rows_folder, tmp_path / "run", *kinds, ask=["texts"], shots=0)
    scores = run_here(run).scores
    trained = [r for r in scores if (r.model, r.scored_by) == ("trained", "texts")]
    assert {r.task: r.n for r in trained} == {
        "Categorical Reasoning": 2, "Conjunctive Reasoning": 1}  # fmt: skip


def test_base_and_trained_are_compared_question_by_question(everything: RunDir) -> None:
    summary = read_benchmarks(everything)
    rows = pq.read_table(everything.root / summary.folder / "questions.parquet").to_pylist()
    asked = [r for r in summary.comparisons if r.benchmark in ("mmlu", "arc", "hellaswag")]
    assert {row.benchmark for row in asked} == {"mmlu", "arc", "hellaswag"}
    for row in asked:
        pairs: dict[str, dict[str, float]] = {}
        for one in rows:
            if (one["benchmark"], one["scored_by"]) == (row.benchmark, row.scored_by):
                pairs.setdefault(one["question_id"], {})[one["model"]] = one["score"]
        assert row.only_second == sum(p["trained"] > p["base"] for p in pairs.values())
        assert row.only_first == sum(p["base"] > p["trained"] for p in pairs.values())
        assert row.p_value is not None
        assert 0 < row.p_value <= 1


def test_long_prompts_lose_examples_never_the_question(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    run = chosen(trained_run, rows_folder, tmp_path / "run", "boolq", ask=["letters"])
    summary = run_here(run)
    assert any("were cut on their left" in text for text in summary.warnings)
    rows = pq.read_table(run.root / summary.folder / "questions.parquet").to_pylist()
    assert all(row["cut_tokens"] > 0 and row["score"] is not None for row in rows)


def test_a_benchmark_none_of_whose_questions_fit_has_no_score_and_that_is_said(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(rows_folder, tmp_path / "rows")
    long = {**ROWS["boolq/default/validation"][0], "passage": "It snows. " * 400}
    path_of(tmp_path / "rows", "boolq/default/validation").write_text(json.dumps(long) + "\n")
    run = chosen(
        trained_run, tmp_path / "rows", tmp_path / "run", "boolq", "gsm8k", max_new_tokens=600
    )
    summary = run_here(run)
    assert summary.scores == ()
    assert summary.comparisons == ()
    assert "boolq: 1 of 1 questions do not fit into the model's context" in summary.warnings[0]
    assert "with benchmark.max_new_tokens = 600 for the answer" in summary.warnings[1]


def test_only_a_few_of_many_missing_files_are_listed(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        run_here(chosen(trained_run, rows_folder, tmp_path / "run", "mmlu"))
    assert caught.value.message.splitlines()[-1] == "… and 50 more"


def test_finished_questions_are_kept_when_the_stage_is_stopped(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    run = chosen(
        trained_run, rows_folder, tmp_path / "run", "mmlu/professional_law", batch_tokens=1024,
        ask=["texts"], limit=80,
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "benchmark", str(run.root)], cwd=ROOT
    )
    store = run.benchmark_answers("mmlu", "base")
    while not (store.exists() and store.read_bytes().count(b"\n") > 20):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    first = store.read_bytes()
    assert isinstance(EventReader(run.events).read()[-1], Cancelled)
    store.write_bytes(first[:-10])  # and its last line torn
    run_here(run)
    assert store.read_bytes().startswith(first[:-10])
    events = [e for e in EventReader(run.events).read() if isinstance(e, Progress)]
    resumed = [e.done for e in events if e.phase == "mmlu · base"]
    assert sorted(resumed) == resumed  # it went on instead of starting anew
    assert {row.n for row in read_benchmarks(run).scores} == {80}


def test_no_connection_is_tried_and_nothing_is_written_outside_the_run(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    run = chosen(trained_run, rows_folder, tmp_path / "run", "mmlu/business_ethics")
    outside = tmp_path / "outside"
    (outside / "home").mkdir(parents=True)
    (outside / ".env").write_text("SECRET_OF_DOTENV=read\nCONFIDENT_API_KEY=key\n")
    before = {path for path in outside.rglob("*")}
    finished = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, str(run.root), str(outside)],
        cwd=outside,
        env={"HOME": str(outside / "home"), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
             "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )  # fmt: skip
    assert finished.returncode == 0
    assert {path for path in outside.rglob("*")} == before


def test_what_is_missing_is_said_before_any_model_is_loaded(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    names = ("mmlu/anatomy", "mmlu/marketing", "boolq")
    run = chosen(trained_run, rows_folder, tmp_path / "run", *names)
    shutil.rmtree(run.base)
    with pytest.raises(DataError) as caught:
        run_here(run)
    assert "anatomy" in caught.value.message
    assert "marketing" in caught.value.message
    assert "boolq" not in caught.value.message


def test_offline_all_that_is_not_cached_is_listed_with_the_place(
    trained_run: RunDir, tmp_path: Path
) -> None:
    names = ("mmlu/anatomy", "mmlu/marketing", "boolq")
    run = chosen(trained_run, Path("hub"), tmp_path / "run", *names)
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "pipeline", "benchmark", str(run.root)]
    assert subprocess.run(command, cwd=ROOT, env=offline, check=False).returncode == 3
    failed = EventReader(run.events).read()[-1]
    assert isinstance(failed, Failed)
    lines = failed.message.splitlines()
    for line, missing in zip(lines, ("anatomy/dev", "marketing/dev", "validation"), strict=True):
        assert missing in line
        assert str(tmp_path / "home") in line
    assert "cais__mmlu/marketing/dev.jsonl" in failed.hint


def test_an_unknown_benchmark_is_refused_with_the_valid_names() -> None:
    with pytest.raises(ValueError, match=r"no benchmark 'mmlux'; valid: mmlu, hellaswag"):
        Settings.model_validate({"data": {"source": "demo"}, "benchmark": {"chosen": ["mmlux"]}})


def test_code_is_run_only_where_that_is_allowed(
    trained_run: RunDir, rows_folder: Path, tmp_path: Path
) -> None:
    run = chosen(trained_run, rows_folder, tmp_path / "run", "humaneval")
    with pytest.raises(SettingsError, match=r"benchmark\.run_code = true"):
        run_here(run)
