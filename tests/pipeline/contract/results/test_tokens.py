"""Scores of positions are read as scores of the tokens that these predict."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.results.tokens import (
    PositionScores,
    TokenScores,
    find_token_scores,
    read_token_scores,
    write_token_scores,
)
from tests.small_scores import finished_run

ROWS = [
    PositionScores("sea", "d0", ["A", " white", " whale"], [0.5, 2.0, 0.0]),
    PositionScores("sea", "d1", ["No"], [0.0]),
]


def test_a_token_has_the_score_of_the_position_before_it(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    write_token_scores(run, "scores", ROWS)
    expected = TokenScores(["A", " white", " whale"], [0.0, 0.5, 2.0])
    assert find_token_scores(run, "sea", "d0") == expected
    assert read_token_scores(run) == {
        ("sea", "d0"): expected,
        ("sea", "d1"): TokenScores(["No"], [0.0]),
    }


def test_the_file_has_the_scores_of_positions(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    write_token_scores(run, "evaluate", ROWS)
    assert pq.read_table(run.own_token_scores).to_pylist()[0] == vars(ROWS[0])


def test_examples_whose_tokens_were_not_scored_have_none(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    assert find_token_scores(run, "sea", "d0") is None
    assert read_token_scores(run) == {}
    write_token_scores(run, "scores", ROWS)
    assert find_token_scores(run, "mill", "d0") is None


def test_a_table_without_scores_is_damaged(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    write_token_scores(run, "scores", ROWS)
    pq.write_table(pq.read_table(run.token_scores).drop_columns(["scores"]), run.token_scores)
    with pytest.raises(DamagedResultError, match="there is no column scores"):
        find_token_scores(run, "sea", "d0")
