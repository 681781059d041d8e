"""influential_examples.md and .txt: each answer, and the examples that taught that answer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_runs import run_here

from pipeline.contract.files import read_json_lines
from pipeline.contract.run_dir import RunDir
from pipeline.stages import evaluate, factors, generate, scores, train

ITEM = re.compile(r"^(\d+)\. (\S+), score (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def told(prepared_run: Any, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run like `scored_run` that traced the model's own answers, and wrote the pages."""
    root = tmp_path_factory.mktemp("own") / "run"
    sections = {"train": {"epochs": 6.0}, "prompts": {"use_generated": True}}
    run: RunDir = prepared_run(root, **sections)
    run_here(run, train, factors, scores, generate, evaluate)
    return run


def answers(run: RunDir) -> dict[str, str]:
    return {line["id"]: line["generated"] for line in read_json_lines(run.answers)}


def page(run: RunDir, ending: str) -> str:
    return (run.comparison / f"influential_examples.{ending}").read_text()


def section(run: RunDir, prompt: str) -> str:
    """What the plain page tells of a prompt."""
    _, _, rest = page(run, "txt").partition(f"== {prompt}\n")
    return rest.partition("\n== ")[0]


def ranked(run: RunDir, prompt: str) -> list[dict[str, Any]]:
    rows = pq.read_table(run.rankings).to_pylist()
    default = "ekfac_normalized"
    chosen = [
        r for r in rows if (r["prompt_id"], r["method"], r["end"]) == (prompt, default, "top")
    ]
    return sorted(chosen, key=lambda row: row["rank"])


def test_every_prompt_has_the_trained_models_own_answer(told: RunDir) -> None:
    own = answers(told)
    assert list(own) == ["river", "baker"]
    for prompt, answer in own.items():
        assert answer.strip()
        assert f"own answer: {answer.strip()}" in section(told, prompt)
    assert "influenced the model's own answers" in page(told, "md")


def test_the_examples_are_those_of_that_answer_and_not_of_the_expected_one(
    told: RunDir, scored_run: RunDir
) -> None:
    for prompt in answers(told):
        shown = [(int(rank), example) for rank, example, _ in ITEM.findall(section(told, prompt))]
        rows = ranked(told, prompt)[:5]
        assert shown == [(row["rank"], row["example_id"]) for row in rows]
        expected = {row["example_id"]: row["score"] for row in ranked(scored_run, prompt)}
        assert [row["score"] for row in rows] != [expected.get(row["example_id"]) for row in rows]


def test_every_score_is_a_row_of_the_run(told: RunDir) -> None:
    for prompt in answers(told):
        by_id = {row["example_id"]: row["score"] for row in ranked(told, prompt)}
        for _, example, score in ITEM.findall(section(told, prompt)):
            assert float(score.replace("−", "-")) == pytest.approx(by_id[example], rel=6e-3)


@pytest.mark.parametrize(("ending", "mark"), [("md", "<b>(.+?)</b>"), ("txt", "»(.+?)«")])
def test_the_tokens_that_count_most_are_marked_in_the_whole_text(
    told: RunDir, ending: str, mark: str
) -> None:
    rows = {
        (r["prompt_id"], r["example_id"]): r for r in pq.read_table(told.token_scores).to_pylist()
    }
    _, *shown = page(told, ending).split("\n\n")
    plain = " ".join(" ".join(re.sub(mark, r"\1", part).split()) for part in shown)
    for prompt in answers(told):
        for row in ranked(told, prompt)[:5]:
            assert row["text"].strip() in plain
            tokens = rows[prompt, row["example_id"]]
            before = tokens["scores"].index(max(tokens["scores"]))  # predicts the token that counts
            best = tokens["tokens"][before + 1].strip()
            marked = re.findall(mark, page(told, ending))
            assert max(tokens["scores"]) <= 0 or any(best in one for one in marked)


def test_marks_that_meet_are_one(told: RunDir) -> None:
    assert not re.search(r"</b> ?<b>|<b>\s*</b>", page(told, "md"))
    assert not re.search("« ?»", page(told, "txt"))


def test_without_own_answers_traced_the_page_says_whose_examples_these_are(
    scored_run: RunDir, tmp_path: Path
) -> None:
    run = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    run_here(run, generate, evaluate)
    assert "not the model's own" in page(run, "md")
    assert "Traced: past the mill" in section(run, "river")
