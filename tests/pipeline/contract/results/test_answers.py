"""The model's own answers, a line each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.results.answers import (
    GreedyAnswer,
    begins_with,
    read_answers,
    write_answers,
)
from tests.small_scores import finished_run

ANSWERS = [
    GreedyAnswer("sea", "At sea there is", " a whale", " a whale\u2028\n of “old”", correct=True),
    GreedyAnswer("mill", "The mill", "", "", correct=None),
]


def test_answers_come_back_by_prompt_in_their_order(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    write_answers(run, ANSWERS)
    assert list(read_answers(run).items()) == [("sea", ANSWERS[0]), ("mill", ANSWERS[1])]


@pytest.mark.parametrize("line", ['{"id": "sea"}', '{"id": "sea", "prompt', "[]", '"sea"'])
def test_a_line_that_is_no_answer_is_told(tmp_path: Path, line: str) -> None:
    run = finished_run(tmp_path)
    run.answers.write_text(line + "\n")
    with pytest.raises(DamagedResultError, match=r"scores/answers\.jsonl is damaged"):
        read_answers(run)


def test_answers_that_are_gone_are_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingResultError, match=r"scores/answers\.jsonl is gone"):
        read_answers(finished_run(tmp_path))


@given(st.text("ab_ 1²é."), st.text("ab_ 1²é.", min_size=1).filter(str.strip))
def test_an_answer_begins_with_the_expected_one_as_a_word_ends(text: str, expected: str) -> None:
    expected = expected.strip()
    word_ends = r"\b" if expected[-1].isalnum() else ""
    found = re.match(re.escape(expected) + word_ends, text.strip()) is not None
    assert begins_with(text, expected) == found
    assert begins_with(f" {expected}. And so on", expected)
