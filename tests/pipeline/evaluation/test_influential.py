"""influential_examples.md and .txt: each answer, and the examples that taught that answer."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.evaluation import read_evaluation
from pipeline.contract.results.generation import (
    read_generated_answers,
    read_generation,
    write_generation,
)
from pipeline.contract.results.origin import is_taught, is_taught_by, origin_word
from pipeline.contract.results.rankings import End, RankedExample, Tracer, read_rankings
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.tokens import read_token_scores
from pipeline.contract.run.run_dir import RunDir
from pipeline.report.text import figure
from pipeline.stages import evaluate, factors, generate, index, report, scores, train
from tests.small_runs import as_written, run_here

ENDS: tuple[End, End] = ("top", "bottom")
ITEM = re.compile(r"^(\d+)\. (\S+), score (\S+), sentences row \d+$", re.MULTILINE)


@pytest.fixture(scope="module")
def told(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that traced the expected completions, and wrote the pages."""
    root = tmp_path_factory.mktemp("told") / "run"
    run = RunDir(shutil.copytree(scored_run.root, root))
    run_here(run, generate, evaluate)
    return run


@pytest.fixture(scope="module")
def own(prepared_run: Any, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """The same but for its scores stage, which traced the model's own answers."""
    root = tmp_path_factory.mktemp("own") / "run"
    sections = {"train": {"epochs": 6.0}, "prompts": {"use_generated": True}}
    run: RunDir = prepared_run(root, **sections)
    run_here(run, train, factors, scores, generate, evaluate)
    return run


def answers(run: RunDir) -> dict[str, str]:
    return {pair.prompt_id: pair.trained.answer for pair in read_generated_answers(run)}


def page(run: RunDir, ending: str) -> str:
    return (run.comparison / f"influential_examples.{ending}").read_text()


def section(run: RunDir, prompt: str) -> str:
    """What the plain page tells of a prompt."""
    _, _, rest = page(run, "txt").partition(f"\nPrompt {prompt}: ")
    return rest.partition("\n== ")[0]


def ranked(run: RunDir, tracer: Tracer, prompt: str, end: End = "top") -> list[RankedExample]:
    return read_rankings(run, tracer, prompt_id=prompt, method="ekfac_normalized", end=end)


def test_every_prompt_has_the_trained_models_own_answer(told: RunDir) -> None:
    given = answers(told)
    assert list(given) == ["river", "baker"]
    for prompt, answer in given.items():
        assert answer.strip()
        assert f"own answer: {answer.strip()}" in section(told, prompt)
    assert "Expected: past the mill" in section(told, "river")


def test_prompts_are_called_by_their_words(told: RunDir) -> None:
    asked = {pair.prompt_id: pair.prompt for pair in read_generated_answers(told)}
    for name, words in asked.items():
        assert f"\n## {words}\n\nPrompt {name}: {words}\n" in page(told, "md")


def test_the_examples_are_those_of_that_answer_and_not_of_the_expected_one(told: RunDir) -> None:
    for prompt in answers(told):
        shown = [(int(rank), example) for rank, example, _ in ITEM.findall(section(told, prompt))]
        rows = ranked(told, "evaluate", prompt)[:5]
        assert shown == [(row.rank, row.example_id) for row in rows]
        expected = {row.example_id: row.score for row in ranked(told, "scores", prompt)}
        assert [row.score for row in rows] != [expected.get(row.example_id) for row in rows]


def test_they_score_as_where_the_scores_stage_traces_the_answers(told: RunDir, own: RunDir) -> None:
    assert answers(told) == answers(own)
    for prompt in answers(told):
        mine, theirs = ranked(told, "evaluate", prompt), ranked(own, "scores", prompt)
        assert [row.example_id for row in mine] == [row.example_id for row in theirs]
        scores = [row.score for row in theirs]
        assert [row.score for row in mine] == pytest.approx(scores, rel=1e-4)


def test_answers_that_the_scores_stage_has_traced_are_not_traced_again(own: RunDir) -> None:
    assert not own.own_rankings.exists()
    assert "rows of scores/rankings.parquet" in page(own, "md")
    rows = ranked(own, "scores", "river")[:5]
    shown = [(int(rank), example) for rank, example, _ in ITEM.findall(section(own, "river"))]
    assert shown == [(row.rank, row.example_id) for row in rows]


def test_the_word_for_an_answers_origin_follows_from_its_copies_and_its_ranking(
    told: RunDir, own: RunDir
) -> None:
    tracers: tuple[tuple[RunDir, Tracer], ...] = ((told, "evaluate"), (own, "scores"))
    for run, tracer in tracers:
        for number, pair in enumerate(read_evaluation(run).prompts):
            copies, name = pair.trained.copies, pair.prompt_id
            assert copies
            assert copies.text == pair.prompt + pair.trained.answer
            assert pair.base.copies is None
            highest, lowest = (
                [row.score for row in ranked(run, tracer, name, end)[:5]] for end in ENDS
            )
            taught = is_taught(highest, lowest)
            assert pair.trained.origin == origin_word(copies.is_copied, taught)
            if tracer == "scores":
                scores = ScoreFile(run).scores(number, "ekfac_normalized")
                assert is_taught_by(scores) == taught


def test_every_score_is_a_row_of_the_run(told: RunDir) -> None:
    assert "rows of evaluate/rankings.parquet" in page(told, "txt")
    for prompt in answers(told):
        by_id = {row.example_id: row.score for row in ranked(told, "evaluate", prompt)}
        for _, example, score in ITEM.findall(section(told, prompt)):
            assert float(score.replace("−", "-")) == pytest.approx(by_id[example], rel=6e-3)


@pytest.mark.parametrize(("ending", "mark"), [("md", "<b>(.+?)</b>"), ("txt", "»(.+?)«")])
def test_the_tokens_that_count_most_are_marked_in_the_whole_text(
    told: RunDir, ending: str, mark: str
) -> None:
    scored = read_token_scores(told, "evaluate")
    _, *shown = page(told, ending).split("\n\n")
    plain = " ".join(" ".join(re.sub(mark, r"\1", part).split()) for part in shown)
    for prompt in answers(told):
        for row in ranked(told, "evaluate", prompt)[:5]:
            assert row.text.strip() in plain
            found = scored[prompt, row.example_id]
            best = found.tokens[found.scores.index(max(found.scores))].strip()
            marked = re.findall(mark, page(told, ending))
            assert max(found.scores) <= 0 or any(best in one for one in marked)


def test_marks_that_meet_are_one(told: RunDir) -> None:
    assert not re.search(r"</b> ?<b>|<b>\s*</b>", page(told, "md"))
    assert not re.search("« ?»", page(told, "txt"))


def test_a_model_that_writes_nothing_has_no_examples(scored_run: RunDir, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    run_here(run, generate)
    silent = [
        replace(pair, trained=replace(pair.trained, answer=" "))
        for pair in read_generated_answers(run)
    ]
    write_generation(run, silent, read_generation(run))
    as_written(run, "generate")
    run_here(run, evaluate)
    assert "writes nothing here" in section(run, "river")
    assert not ITEM.search(page(run, "txt"))
    assert not run.own_rankings.exists()


def test_the_report_names_the_example_behind_each_answer(told: RunDir, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(told.root, tmp_path / "run"))
    run_here(run, report)
    table = [line for line in run.report_markdown.read_text().splitlines() if line[:2] == "| "]
    for prompt in answers(run):
        best = ranked(run, "evaluate", prompt)
        said = f"{best[0].example_id} ({figure(best[0].score)}, {best[0].source_label})"
        assert any(line.split(" | ")[-1] == f"{said} |" for line in table)
        for row in best[:5]:
            shown = f"<code>{row.example_id}</code> · {figure(row.score)}"
            assert shown in run.report_html.read_text()


def test_answers_that_were_not_traced_are_missing_in_the_report(
    trained_run: RunDir, tmp_path: Path
) -> None:
    run = RunDir(shutil.copytree(trained_run.root, tmp_path / "run"))
    run_here(run, generate, evaluate, report)
    for page in (run.report_markdown, run.report_html):
        text = page.read_text()
        assert "Missing: where these answers come from; no scores are up to date" in text
        assert "Comes from" not in text


def test_where_the_factors_were_removed_the_rest_is_compared_and_that_is_said(
    scored_run: RunDir, tmp_path: Path
) -> None:
    run = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    shutil.rmtree(run.factors("ekfac"))
    run_here(run, generate, evaluate)
    said = read_evaluation(run).origins.missing
    assert said.startswith(f"there are no factors in {run.factors('ekfac')}")
    assert "`headwater run factors --force --run run`" in said
    assert (run.comparison / "model_comparison.csv").exists()
    assert not (run.comparison / "influential_examples.md").exists()


@pytest.mark.parametrize("stage", [scores, index])
def test_stages_that_cannot_do_without_factors_say_how_to_get_them(
    stage: ModuleType, scored_run: RunDir, tmp_path: Path
) -> None:
    run = RunDir(shutil.copytree(scored_run.root, tmp_path / "run"))
    shutil.rmtree(run.factors("ekfac"))
    with pytest.raises(MissingResultError, match="there are no factors in ") as told:
        run_here(run, stage)
    assert "`headwater run factors --force --run run` fits them" in told.value.hint
