"""The questions of a run are kept, each once, the last hundred."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.run.history import KEPT, read_questions, remember
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir


def test_the_newest_question_comes_first(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert read_questions(run) == []
    remember(run, Query("The river runs"), " past the mill")
    remember(run, Query("Two\nlines", " of text"), " of text")
    newest, oldest = read_questions(run)
    assert (newest.prompt, newest.completion, newest.answer) == (
        "Two\nlines",
        " of text",
        " of text",
    )
    assert (oldest.prompt, oldest.completion, oldest.answer) == (
        "The river runs",
        None,
        " past the mill",
    )


def test_a_question_that_is_asked_again_moves_to_the_front(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for prompt in ("one", "two", "one"):
        remember(run, Query(prompt), "")
    remember(run, Query("one", " with a completion"), "")
    asked = [(one.prompt, one.completion) for one in read_questions(run)]
    assert asked == [("one", " with a completion"), ("one", None), ("two", None)]


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for number in range(KEPT + 3):
        remember(run, Query(f"question {number}"), "")
    prompts = [one.prompt for one in read_questions(run)]
    assert prompts == [f"question {number}" for number in range(KEPT + 2, 2, -1)]


def test_what_is_no_question_is_passed_over(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    remember(run, Query("one\u2028line"), "")
    with run.asked.open("ab") as file:
        file.write(b'{"prompt": 3}\nnothing\n[]\n{"prompt": "torn')
    assert [one.prompt for one in read_questions(run)] == ["one\u2028line"]
    remember(run, Query("two"), "")
    assert [one.prompt for one in read_questions(run)] == ["two", "one\u2028line"]
    run.asked.write_bytes(b"\xff\xfe")
    assert read_questions(run) == []
