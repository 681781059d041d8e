"""Numbers are compared by their value, however they are written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.evaluation.benchmarks.benchmark import FewShots
from pipeline.evaluation.benchmarks.written import Drop, Gsm8k
from pipeline.evaluation.numbers import numbers_in, plain_number
from pipeline.evaluation.questions import BenchmarkQuestion, Open


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("−3", "-3"),  # a minus sign of word processors
        ("–3", "-3"),
        ("-3.", "-3"),
        ("-0", "0"),
        ("2.50", "2.5"),
        ("2.5", "2.5"),
        ("1,200.00", "1200"),
        ("$-1,200", "-1200"),
        ("1000", "1000"),
        (".5", "0.5"),
        ("٣٤", "34"),
        ("１２", "12"),
        ("many", "many"),
        ("nan", "nan"),
    ],
)
def test_a_number_has_one_spelling(written: str, value: str) -> None:
    assert plain_number(written) == value


def test_numbers_are_found_with_their_signs() -> None:
    text = "It fell from 10 to −3 (not 5-3), costs -$2.50 or $1,200, and x=.5."
    assert numbers_in(text) == ["10", "-3", "5", "3", "-2.5", "1200", "0.5"]


def graded(kind: Any, written: str, *accepted: str) -> float:
    question = BenchmarkQuestion("0", "t", {"written": Open("", "?", accepted)})
    benchmark = cast(Any, SimpleNamespace())
    return float(kind.grade(benchmark, question, written)[1]["written"])


@pytest.mark.parametrize(
    ("written", "accepted", "right"),
    [
        ("The answer is −3", "-3", 1),
        ("The answer is −3", "3", 0),
        ("so 2.50 in all", "2.5", 1),
        ("16 - 3 = 13", "13", 1),
    ],
)
def test_sums_are_right_by_their_value(written: str, accepted: str, right: int) -> None:
    assert graded(Gsm8k, written, accepted) == right


@pytest.mark.parametrize(
    ("written", "accepted", "right"),
    [
        ("−3", "-3", 1),
        ("3", "-3", 0),
        ("2.5", "25", 0),
        ("2.50 yards", "2.5 yards", 1),
        ("1,000", "1000", 1),
        ("the Bears", "Bears.", 1),
    ],
)
def test_spans_with_numbers_are_right_by_their_value(
    written: str, accepted: str, right: int
) -> None:
    assert graded(Drop, written, accepted) == right


def test_no_question_is_among_its_own_examples() -> None:
    rows = [{"question": str(n)} for n in range(5)]
    few = FewShots(rows, 3, "t", lambda first: " ".join(row["question"] for row in first))
    assert [few.of(row) for row in rows] == ["1 2 3", "0 2 3", "0 1 3", "0 1 2", "0 1 2"]
    exact = FewShots(rows[:2], 2, "t", lambda first: " ".join(row["question"] for row in first))
    assert exact.of(rows[0]) == "1"
