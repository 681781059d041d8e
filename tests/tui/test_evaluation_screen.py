"""Evaluation, benchmark questions and the report: every key of theirs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from pipeline.contract.files import write_json
from pipeline.contract.results.evaluation import (
    AnswerOrigins,
    read_evaluation,
    write_evaluation,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from tests.tui import sample_evaluation, sample_run
from tests.tui.watching import Looks, at_work, screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.screens.ask import AskScreen
from tui.screens.dialogs.confirm import ConfirmDialog, TextDialog
from tui.screens.dialogs.prompt_form import PromptForm
from tui.screens.dialogs.question_form import QuestionForm
from tui.screens.evaluation import EvaluationScreen
from tui.screens.questions import QuestionsScreen
from tui.screens.report import ReportScreen
from tui.screens.run import RunScreen
from tui.widgets.chart import Chart
from tui.widgets.harmless_markdown import HarmlessMarkdown
from tui.widgets.report_page import ReportPage
from tui.widgets.section_list import SectionList
from tui.widgets.table import Table

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run that was evaluated, with prompts of its own."""
    monkeypatch.chdir(tmp_path)
    run = sample_run.new_run(tmp_path / "runs", "books")
    text = run.settings.read_text().replace('source = "demo"', 'source = "local"')
    run.settings.write_text(text.replace('path = ""', f'path = "{run.settings}"', 1))
    save_prompts(run.prompts, [Prompt(id="home", prompt="Born in", completion=" Tellin")])
    sample_run.finish(run, "prepare", "train", "generate", "evaluate", "benchmark", "report")
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_benchmarks(run)
    sample_evaluation.write_report(run)
    return run


def app_of(run: RunDir) -> HeadwaterApp:
    return HeadwaterApp(run.root.parent, run)


async def open_evaluation(pilot: Pilot[None], *keys: str) -> Table:
    await until_shown(pilot, "Stages ·")
    await pilot.press("E")
    await until_shown(pilot, "Metrics · 3")
    table = pilot.app.screen.query_one(Table)
    await pilot.press(*keys)
    await pilot.pause()
    return table


# Metrics and answers


@pytest.mark.parametrize("size", SIZES)
async def test_metrics_stand_beside_the_interval_of_their_difference(
    run: RunDir, size: tuple[int, int]
) -> None:
    app = app_of(run)
    async with app.run_test(size=size) as pilot:
        await open_evaluation(pilot)
        text = " ".join(screen_text(app).split())
        assert "BLEU 2.0 31.0 +29.0 +10.0 to +45.0" in text
        assert "ln p -6 -2.5 +3.5 +3.1 to +3.9" in text
        assert "BLEU: better" in text
        assert "model_comparison_summary.csv" in text
        if size[1] > 24:
            assert "trained 12.5 –" in text  # a perplexity that was not taken
            assert "! only 2 prompts have an expected answer" in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_tables_are_sorted_by_any_column_and_the_cursor_stays_on_its_row(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        table = await open_evaluation(pilot)

        def names() -> list[str]:
            return [row.item.metric for row in table.rows]

        in_file = names()
        await pilot.press("j", "o", "o")
        await until_shown(pilot, "base▲")
        assert names() == ["log_likelihood_per_token", "bleu", "f1"]
        assert table.selected is not None
        assert table.selected.item.metric == "f1"
        await pilot.press("b")
        await until_shown(pilot, "base▼")
        assert names() == ["f1", "bleu", "log_likelihood_per_token"]
        await pilot.press("b", *"ooooooo")
        assert names() == in_file


async def test_answers_stand_side_by_side_with_their_differences_marked(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_evaluation(pilot, "2", "j")
        await until_shown(pilot, "Tilo Brandt was born in → Nyvale.")
        text = screen_text(app)
        assert "a town by the ⁻sea" in text
        assert "a town by the ⁺lake" in text
        assert "cut at the limit · repetitive" in text
        assert "2 of 4 words stand together in the training text doc-7" in " ".join(text.split())
        await pilot.press("k", "h")
        await until_shown(pilot, "trained · ⁺ not expected")
        assert "Tellin, ⁺by the quay." in screen_text(app)
        await pilot.press("enter", "escape")
        assert app.screen.query_one(Table).has_focus


async def test_exact_match_beside_known_answers_is_explained(run: RunDir) -> None:
    found = read_evaluation(run)
    pairs = [
        replace(pair, expected=" Tellin", trained=replace(pair.trained, scores={"exact": 0.0}))
        for pair in found.prompts
    ]
    metric = replace(found.metrics[0], metric="exact", title="exact match")
    write_evaluation(run, replace(found, prompts=tuple(pairs), metrics=(metric,)))
    app = app_of(run)
    why = "Known: 1 of 2 trained answers begin with the expected text. Exact match: 0"
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("E")
        await until_shown(pilot, "Metrics · 1")
        await until_shown(pilot, why)
        await pilot.press("2")
        await until_shown(pilot, "Answers · 2")
        assert why in " ".join(screen_text(app).split())


async def test_the_trained_models_answer_shows_where_it_comes_from(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(200, 60)) as pilot:
        await open_evaluation(pilot, "2", "j")
        await until_shown(pilot, "comes from, by ekfac_normalized")
        assert "40.3 doc-1 parish.jsonl row 1 It was by the quay." in " ".join(
            screen_text(app).split()
        )
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, QuestionForm))
        asked = [app.screen.query_one(f"#{name}", TextArea).text for name in QuestionForm.LABELS]
        rather_than = " a town by the sea"  # what the base model says
        assert asked == ["Tilo Brandt was born in", " a town by the lake", rather_than]


async def test_an_answers_copies_are_underlined_and_the_word_for_its_origin_is_told(
    run: RunDir,
) -> None:
    app = app_of(run)
    async with app.run_test(size=(200, 60)) as pilot:
        await open_evaluation(pilot, "2")
        await until_shown(pilot, "Answers · 2")
        text = " ".join(screen_text(app).split())
        assert 'taught · 2 of 6 tokens are copied: "by the" in 3 places' in text
        assert underlined(app) == "by the"


def underlined(app: HeadwaterApp) -> str:
    strips = app.screen._compositor.render_strips()
    parts = (part for strip in strips for part in strip)
    return "".join(part.text for part in parts if part.style and part.style.underline)


async def test_answers_that_were_not_traced_say_why(run: RunDir) -> None:
    found = read_evaluation(run)
    missing = AnswerOrigins(missing="no scores are up to date")
    write_evaluation(run, replace(found, origins=missing))
    app = app_of(run)
    async with app.run_test(size=(300, 40)) as pilot:
        await open_evaluation(pilot, "2")
        await until_shown(pilot, "where this comes from is not traced: no scores are up to date")


async def test_rows_are_filtered_by_words_of_prompt_and_answers(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_evaluation(pilot, "2", "slash", *"lake", "enter")
        await until_shown(pilot, "Answers · 1 of 2")
        assert table.has_focus
        await pilot.press("escape")
        await until_shown(pilot, "Answers · 2 ")
        await pilot.press("1")
        await until_shown(pilot, "Metrics · 3")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
async def test_the_shown_rows_are_exported_with_numbers_in_full(run: RunDir, ending: str) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_evaluation(pilot, "x")
        await until(pilot, lambda: isinstance(app.screen, TextDialog))
        entry = app.screen.query_one(Input)
        assert entry.value == "runs/books/exports/metrics.csv"
        entry.value = "nowhere/x.csv"
        await until_shown(pilot, "there is no folder nowhere")
        entry.value = f"out.{ending}"
        await pilot.press("enter")
        await until_shown(pilot, "3 rows are in")
    with Path(f"out.{ending}").open(newline="") as file:
        rows = list(csv.DictReader(file)) if ending == "csv" else list(map(json.loads, file))
    assert rows[0]["metric"] == "BLEU"
    assert float(rows[0]["change"]) == pytest.approx(0.29)


async def test_every_export_goes_to_the_runs_exports_and_says_so(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_evaluation(pilot, "x")
        for name in ("metrics", "metrics-2"):
            await until_shown(pilot, f"exports/{name}.csv")
            await pilot.press("enter")
            await until(pilot, (run.exports / f"{name}.csv").exists)
            await until_shown(pilot, "3 rows are in")
            await pilot.press("x")
        await pilot.press("escape", "R")
        await until_shown(pilot, "Contents")
        await pilot.press("x")
        await until_shown(pilot, "exports/report.html")
        await pilot.press("enter")
        await until(pilot, (run.exports / "report.html").exists)
        await until_shown(pilot, "written: ")


async def test_what_was_not_evaluated_is_told(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.done("evaluate").unlink()
    app = app_of(run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("E")
        await until_shown(pilot, "○ no answers yet: the evaluate stage has not finished")
        assert "✗" not in screen_text(app)
        await pilot.press("3")
        await until_shown(pilot, "no benchmark scores yet: the benchmark stage has not finished")
        await pilot.press("R")
        await until_shown(
            pilot, "○ combined_evaluation_results/combined_evaluation_report.md is gone"
        )


async def test_the_pages_tell_what_they_hold_and_are_turned_by_a_click(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_evaluation(pilot)
        pages = "▌1 Metrics 3 2 Answers 2 3 Benchmarks 2 4 Validation –"
        await until_shown(pilot, pages)
        line = screen_text(app).splitlines()[1]
        await pilot.click(offset=(line.index("Validation") + 3, 1))
        await until_shown(pilot, "○ no experiments yet")
        await until_shown(pilot, "▌4 Validation –")
        await pilot.click(offset=(line.index("Answers"), 1))
        await until_shown(pilot, "▌2 Answers 2")
        assert app.screen.query_one(Table).has_focus


async def test_a_click_on_a_column_sorts_the_table(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        table = await open_evaluation(pilot)
        y, head = next(
            (y, line) for y, line in enumerate(screen_text(app).splitlines()) if "95 %" in line
        )
        for title in ("base▲", "base▼"):
            await pilot.click(offset=(head.index("base") + 2, y))
            await until_shown(pilot, title)
        names = [row.item.metric for row in table.rows]
        assert names == ["f1", "bleu", "log_likelihood_per_token"]


async def test_results_of_another_shape_are_told(run: RunDir) -> None:
    run.summary("evaluate").write_text('{"prompts": 3}')
    app = app_of(run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("E")
        await until_shown(pilot, "Benchmarks · 2")
        await pilot.press("1")
        await until_shown(pilot, "evaluate/summary.json is damaged: prompts: ")


# Benchmarks and their questions


async def open_questions(pilot: Pilot[None]) -> Table:
    await open_evaluation(pilot, "3")
    await until_shown(pilot, "Benchmarks · 2")
    await pilot.press("enter")
    await until_shown(pilot, "Questions · 3")
    return pilot.app.screen.query_one(Table)


async def test_scores_stand_beside_chance_and_their_uncertainty(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(200, 60)) as pilot:
        await open_evaluation(pilot, "3")
        await until_shown(pilot, "Benchmarks · 2")
        text = " ".join(screen_text(app).split())
        assert "mmlu international_law texts by length 33.3 20.0 66.7 20.0 50.0" in text
        assert "trained 66.7 20.0 56.7 to 76.7 3 0" in text
        assert "trained − base: +33.3 (-20.0 to 60.0), p 0.6: no difference shown" in text
        assert "only base right 1, only trained right 2 (McNemar)" in text
        assert "5 few-shot examples; only the first 3 questions of each task" in text


@pytest.mark.parametrize("size", SIZES)
async def test_every_choice_shows_how_likely_each_model_finds_it(
    run: RunDir, size: tuple[int, int]
) -> None:
    app = app_of(run)
    async with app.run_test(size=size) as pilot:
        table = await open_questions(pilot)
        assert [cell.text for cell in table.rows[0].cells[:2]] == ["✗", "✓"]
        lines = screen_text(app).splitlines()
        right = next(n for n, line in enumerate(lines) if "★" in line and "%" in line)
        assert "100% ▸" in lines[right]
        assert "flag State" in lines[right + 1]
        assert "-1.00" in lines[right]  # 10 nats over ten characters
        await pilot.press("enter", "pagedown", "escape")
        assert table.has_focus


async def test_questions_are_narrowed_to_those_missed_or_differing(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        table = await open_questions(pilot)

        def ids() -> list[str]:
            return [row.item.id for row in table.rows]

        await pilot.press("v")
        await until_shown(pilot, "missed by the trained model")
        assert ids() == ["law/1", "law/2"]
        await pilot.press("v")
        await until_shown(pilot, "where the models differ")
        assert ids() == ["law/0", "law/1"]
        await pilot.press("v", "slash", *"courts", "enter")
        await until_shown(pilot, "Questions · 1 of 3")
        assert ids() == ["law/1"]
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, EvaluationScreen))


async def test_a_written_answer_is_shown_with_what_was_accepted(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_evaluation(pilot, "3", "j", "enter")
        await until_shown(pilot, "Questions · 1")
        text = screen_text(app)
        assert "right: 4" in text
        assert "trained: 5" in text
        assert "It is 5." in text


@pytest.mark.parametrize(
    ("keys", "completion"),
    [(("enter",), " the just nature of it"), (("j", "enter"), " a right enforced by courts")],
)
async def test_a_question_becomes_a_prompt_once_it_is_told_what_becomes_stale(
    run: RunDir, keys: Sequence[str], completion: str
) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_questions(pilot)
        await pilot.press("j", "t")
        await until_shown(pilot, "Trace which answer?")
        await until_shown(pilot, "the right one")
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.screen, PromptForm))
        assert app.screen.query_one("#completion", TextArea).text == completion
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until_shown(pilot, "becomes stale: prepare, generate, evaluate, report")
        assert len(load_prompts(run.prompts)) == 1
        await pilot.press("y")
        await until_shown(pilot, "added; a on the run's screen runs what is stale")
        assert isinstance(app.screen, QuestionsScreen)
    added = load_prompts(run.prompts)[-1]
    assert added.id == "mmlu-law-1"
    assert added.prompt == "Question: What is justiciability?\nAnswer:"
    assert added.completion == completion


async def test_a_question_that_the_model_answers_rightly_needs_no_choice(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_questions(pilot)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, PromptForm))


async def test_no_answer_is_traced_where_none_is_chosen(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_questions(pilot)
        await pilot.press("j", "t")
        await until_shown(pilot, "Trace which answer?")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, QuestionsScreen))


async def test_the_demo_takes_no_prompts_and_says_so(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "generate", "evaluate", "benchmark")
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_benchmarks(run)
    app = app_of(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_questions(pilot)
        await pilot.press("t")
        await until_shown(pilot, "the demo corpus brings its own prompts")


# Report


async def open_report(pilot: Pilot[None]) -> None:
    await until_shown(pilot, "Stages ·")
    await pilot.press("R")
    await until_shown(pilot, "Contents · 4")


async def test_the_report_is_read_section_by_section(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(100, 40)) as pilot:
        await open_report(pilot)
        await until_shown(pilot, "Written in a test.")
        assert "combined_evaluation_report.md" in screen_text(app)
        await pilot.press("j")
        await until_shown(pilot, "ekfac   0.97")
        await pilot.press("j", "j")
        await until_shown(pilot, "a long text about a town a long")
        shown = screen_text(app)
        assert "\x1b]52" not in shown
        assert "⟨U+202E⟩" in shown
        assert "picture: Something else (figures/other.svg)" in shown
        await pilot.press("enter", "pagedown", "escape")
        assert isinstance(app.screen, ReportScreen)
        await pilot.press("slash", *"mrr", "enter")
        await until_shown(pilot, "Contents · 1")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_the_columns_of_a_wide_table_come_one_part_after_the_other(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(200, 60)) as pilot:
        await open_report(pilot)
        await pilot.press("G")
        await until_shown(pilot, "gradient_cosine")
        assert "shows the next columns" not in screen_text(app)
        await pilot.resize_terminal(80, 24)
        await until_shown(pilot, "part 1 of 3: v shows the next columns")
        assert "a long text" in screen_text(app)
        assert "gradient_cosine" not in screen_text(app)
        await pilot.press("v")
        await until_shown(pilot, "part 2 of 3")
        assert "a long text" not in screen_text(app)
        await pilot.press("v")
        await until_shown(pilot, "part 3 of 3")
        assert "bm25" in screen_text(app)
        await pilot.press("v")
        await until_shown(pilot, "part 1 of 3")


async def test_a_burst_of_keys_ends_at_the_section_under_the_cursor(run: RunDir) -> None:
    """Widgets that a cancelled worker was exchanging took the whole program with them."""
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_report(pilot)
        for key in "jjjkkkjjjvvkkkjj":
            app.simulate_key(key)
        await until_shown(pilot, "│▌ Prompts and the exampl")
        await until_shown(pilot, "│ Prompts and the examples behind them")
        assert app.is_running
        assert app.screen.query_one(ReportPage).query(HarmlessMarkdown)


async def test_figures_of_the_report_are_drawn_from_the_runs_results(run: RunDir) -> None:
    sample_run.train_events(run)
    app = app_of(run)
    async with app.run_test(size=(120, 50)) as pilot:
        await open_report(pilot)
        await pilot.press("j")
        await until_shown(pilot, "trained − base, percentage points")
        lines = [" ".join(line.split()) for line in screen_text(app).splitlines()]
        assert any(re.search(r"BLEU +29\.0.*├.*●.*┤", line) for line in lines)
        await until_shown(pilot, "loss, nats a token")
        chart = app.screen.query_one(Chart)
        assert [one.name for one in chart.series] == ["training", "validation"]
        assert chart.span == (1, 400)


@pytest.mark.parametrize("ending", ["html", "md"])
async def test_the_report_is_copied_in_the_form_that_the_ending_asks_for(
    run: RunDir, ending: str
) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_report(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, TextDialog))
        app.screen.query_one(Input).value = "copy.txt"
        await until_shown(pilot, "ends in .html or .md")
        app.screen.query_one(Input).value = f"copy.{ending}"
        await pilot.press("enter")
        await until_shown(pilot, "written: ")
    source = run.report_html if ending == "html" else run.report_markdown
    assert Path(f"copy.{ending}").read_text() == source.read_text()


@pytest.mark.parametrize("size", SIZES)
async def test_the_experiments_on_the_rankings_have_a_page(
    run: RunDir, size: tuple[int, int]
) -> None:
    sample_run.finish(run, "factors", "scores", "validate")
    sample_evaluation.write_validation(run)
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=size) as pilot:
        await pilot.press("E", "4")
        await until_shown(pilot, "Validation · 7")
        await until_shown(pilot, "+4.000 (3.400 to 4.500) over random: better")
        assert "The model was trained again from" in screen_text(app)
        await pilot.press("j", "j", "j")
        await until_shown(pilot, "+0.050 (-0.110 to 0.200) over BM25: no difference shown")
        await pilot.press("G")
        await until_shown(pilot, "of a prompt's first 10 examples 95% are the same")
        await pilot.press("o", "o", "o")
        values = [row.cells[2].value for row in app.screen.query_one(Table).rows]
        numbers = [value for value in values if isinstance(value, float)]
        assert len(numbers) == 7
        assert values == sorted(numbers)


async def test_an_interval_above_0_is_not_enough_where_the_test_is_undecided(run: RunDir) -> None:
    sample_run.finish(run, "factors", "scores", "validate")
    sample_evaluation.write_validation(run, removal_p=0.2)
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("E", "4")
        await until_shown(pilot, "+4.000 (3.400 to 4.500) over random: no difference shown")


async def test_a_run_without_experiments_says_how_to_get_them(run: RunDir) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("E", "4")
        await until_shown(pilot, "no experiments yet: the validate stage has not finished")
        await until_shown(pilot, "or by `headwater validate books`")


async def test_experiments_of_other_settings_are_called_stale(run: RunDir) -> None:
    sample_run.finish(run, "factors", "scores", "validate")
    sample_evaluation.write_validation(run)
    run.settings.write_text(run.settings.read_text().replace("subsets = 16", "subsets = 8"))
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("E", "4")
        await until_shown(pilot, "Validation · 7")
        await until_shown(pilot, "≠ stale: the settings have changed since")


# While stages run


async def test_newer_results_are_told_and_shown_on_the_same_page(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_evaluation(pilot, "3")
        await until_shown(pilot, "Benchmarks ·")
        assert "newer results" not in screen_text(app)
        before = app.screen
        run.done("benchmark").touch()
        await until_shown(pilot, "newer results: F5 shows them")
        assert app.screen is before
        await pilot.press("f5")
        await until_shown(pilot, "Benchmarks ·")
        assert app.screen is not before
        assert isinstance(app.screen, EvaluationScreen)
        assert "newer results" not in screen_text(app)


async def test_what_is_run_again_is_no_news_before_it_has_finished(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, looks = app_of(run), Looks(monkeypatch)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_evaluation(pilot)
        run.done("benchmark").unlink()
        await looks.again(pilot)
        assert "newer results" not in screen_text(app)


async def test_newer_questions_are_told_and_shown(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_evaluation(pilot, "3")
        await until_shown(pilot, "Benchmarks ·")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, QuestionsScreen))
        await until_shown(pilot, "Questions · ")
        await pilot.press("v")
        before = app.screen
        run.done("benchmark").touch()
        await until_shown(pilot, "newer results: F5 shows them")
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, QuestionsScreen))
        assert app.screen is not before
        await until_shown(pilot, "missed by the trained model")


async def test_a_newer_report_opens_at_the_section_that_was_read(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("R")
        await until_shown(pilot, "Contents ·")
        await pilot.press("j", "j")
        before, section = app.screen, app.screen.query_one(SectionList).selected
        await pilot.press("f5")
        await until(pilot, lambda: app.screen is not before)
        await until_shown(pilot, "Contents ·")
        assert app.screen.query_one(SectionList).selected == section


async def test_on_a_narrow_screen_a_section_that_is_read_has_all_of_it(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("R")
        await until_shown(pilot, "Contents ·")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#page").size.width > 70)
        assert "Contents" not in screen_text(app)
        await pilot.press("escape")
        await until_shown(pilot, "Contents ·")


async def test_questions_that_lack_a_column_say_so(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_evaluation(pilot, "3")
        await until_shown(pilot, "Benchmarks ·")
        path = next(run.root.rglob("questions*.parquet"))
        pq.write_table(pq.read_table(path).drop_columns(["text"]), path)
        await pilot.press("enter")
        await until_shown(pilot, "there is no column text")
        assert "benchmark: string" not in screen_text(app)  # all of Arrow's columns


@pytest.mark.parametrize(("key", "stage"), [("I", "scores"), ("F", "inspect"), ("R", "report")])
async def test_every_screen_of_results_tells_of_newer_ones(
    run: RunDir, key: str, stage: str
) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, RunScreen))
        before = app.screen
        sample_run.finish(run, stage)
        await until_shown(pilot, "newer results")
        await pilot.press("f5")
        await until(pilot, lambda: type(app.screen) is type(before) and app.screen is not before)


@pytest.mark.parametrize(("at", "state"), [("train", "queued"), ("scores", "running")])
async def test_an_empty_page_says_that_its_stage_is_under_way(
    tmp_path: Path, at: str, state: str
) -> None:
    run = at_work(tmp_path)
    write_json(run.state, sample_run.supervising(at, ("train", "factors", "scores")))
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, f"scores is {state}")
        assert "runs scores here" not in screen_text(app)


async def test_an_empty_page_runs_what_is_missing_after_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        "tui.processes.launcher.start_stages", lambda run, stages, again=(): started.append(stages)
    )
    run = sample_run.scored_run(tmp_path)
    run.done("generate").unlink()
    run.done("evaluate").unlink()
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("E")
        await until_shown(pilot, "Enter runs evaluate here")
        await pilot.press("enter")
        await until_shown(pilot, "Run evaluate?")
        await until_shown(pilot, "These run, in this order: generate, evaluate.")
        await pilot.press("n")
        assert not started
        await pilot.press("3")
        await until_shown(pilot, "Enter runs benchmark here")
        await pilot.press("enter")
        await until_shown(pilot, "Run benchmark?")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert started == [("benchmark",)]
