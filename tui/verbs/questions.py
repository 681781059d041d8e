"""The verb that lists benchmark questions, and makes prompts of them to be traced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.results.benchmark_questions import AnsweredQuestion, read_questions
from pipeline.contract.results.benchmarks import Benchmarks, TaskScores, load_benchmarks
from pipeline.contract.results.generation import ModelName
from pipeline.contract.settings.prompts import Prompt, save_prompts
from tui.drafts.question_prompt import prompt_of
from tui.printed import tables
from tui.printed.output import echo, echo_json
from tui.readers.clean import clean
from tui.runs_folder import find_run

_EXCERPT = 60


@click.command()
@click.argument("run")
@click.option("--benchmark", help="Benchmark, or benchmark/task.  [default: the first]")
@click.option("--scored-by", help="Manner of scoring.  [default: the first]")
@click.option(
    "--missed/--answered", "missed", default=None, help="Only what the model missed, or got right."
)
@click.option("--model", type=click.Choice(["base", "trained"]), help="Whose.  [default: trained]")
@click.option(
    "--prompts",
    "prompts_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them as a set of prompts, to trace why the model picked that, not the right one.",
)
@click.option("--right", is_flag=True, help="With --prompts: the right answer, alone.")
@click.option("--set", "set_name", help="With --prompts: name of their set.  [default: as asked]")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.pass_obj
def questions(
    runs: Path,
    run: str,
    benchmark: str | None,
    scored_by: str | None,
    missed: bool | None,
    model: ModelName | None,
    prompts_file: Path | None,
    right: bool,
    set_name: str | None,
    as_json: bool,
) -> None:
    """List the questions that RUN's benchmarks asked, and make prompts of them.

    `headwater run analysis --run …` with such prompts, or `headwater ask`, says which training
    examples made the model answer so.
    """
    target = find_run(runs, run)
    benchmarks = load_benchmarks(target).value
    score = _chosen(benchmarks, benchmark, scored_by)
    name: ModelName = model or ("trained" if "trained" in score.models else "base")
    of_score = read_questions(
        target, benchmarks.folder, score.benchmark, score.task, score.scored_by
    )
    asked = [question for question in of_score if _wanted(question, name, missed)]
    if prompts_file:
        if set_name is not None and not set_name.strip():
            raise UsageError("the name of the set is empty", "leave --set out for one as asked")
        kinds = {None: "asked", True: "missed", False: "answered"}
        of_set = set_name or f"{score.benchmark} {kinds[missed]}"
        prompts = list(_prompts(asked, score, name, right, of_set))
        save_prompts(prompts_file, prompts)
        echo(f"wrote {len(prompts):,} prompts, set {of_set!r}, to {prompts_file}", err=True)
        return
    if as_json:
        whole = [_row(question, name) for question in asked]
        echo_json(whole)
    else:
        echo(tables.plain([_short_row(question, name) for question in asked]))


def _chosen(benchmarks: Benchmarks, benchmark: str | None, scored_by: str | None) -> TaskScores:
    """The score that is named.

    Raises:
        UsageError: there is none such.
    """
    tasks = benchmarks.tasks()
    for score in tasks:
        names = (None, score.benchmark, f"{score.benchmark}/{score.task}")
        if benchmark in names and scored_by in (None, score.scored_by):
            return score
    valid = ", ".join(
        dict.fromkeys(f"{score.benchmark}/{score.task} {score.scored_by}" for score in tasks)
    )
    raise UsageError(
        f"the run has no {benchmark or ''} {scored_by or ''}".rstrip(), f"valid: {valid}"
    )


def _wanted(question: AnsweredQuestion, model: ModelName, missed: bool | None) -> bool:
    if model not in question.replies:
        return False
    reply = question.replies[model]
    return missed is None or (reply.score is not None and (reply.score < 1) == missed)


def _prompts(
    asked: list[AnsweredQuestion], score: TaskScores, model: ModelName, right: bool, of_set: str
) -> Iterator[Prompt]:
    for question in asked:
        gold, picked = next(iter(question.gold), ""), question.pick(question.replies[model])
        if (gold if right else picked).strip():
            answers = (gold, "") if right else (picked, "" if picked in question.gold else gold)
            yield prompt_of(score.benchmark, question, *answers, of_set)


def _row(question: AnsweredQuestion, model: ModelName) -> dict[str, object]:
    reply = question.replies[model]
    return {
        "id": question.id,
        "task": question.task,
        "score": reply.score,
        "picked": question.pick(reply),
        "right": list(question.gold),
        "question": question.prompt,
    }


def _short_row(question: AnsweredQuestion, model: ModelName) -> tables.Row:
    return {
        **_row(question, model),
        "picked": clean(question.pick(question.replies[model]), _EXCERPT),
        "right": clean(" | ".join(question.gold), _EXCERPT),
        "question": clean(question.prompt, _EXCERPT),
    }
