"""Rankings of all examples; what is missing is told."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import MissingResultError
from tests.tui import sample_run
from tui.readers.ranking_reader import RankingReader


def test_the_overview_names_prompts_answers_and_methods(tmp_path: Path) -> None:
    overview = RankingReader(sample_run.scored_run(tmp_path)).overview()
    assert [answer.id for answer in overview.answers] == [f"home-{n}" for n in range(6)]
    assert [answer.correct for answer in overview.answers[:3]] == [False, True, True]
    assert overview.methods == sample_run.METHODS
    assert overview.default_method == "ekfac_normalized"
    assert not overview.stale


def test_token_scores_are_there_or_none(tmp_path: Path) -> None:
    reader = RankingReader(sample_run.scored_run(tmp_path))
    tokens = reader.tokens("home-0", "doc-0001")
    assert tokens is not None
    assert len(tokens.tokens) == len(tokens.scores)
    assert reader.tokens("home-0", "nobody") is None


def test_a_token_has_the_score_of_the_position_that_predicts_it(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    stored = pq.read_table(run.token_scores).to_pylist()[0]
    tokens = RankingReader(run).tokens(stored["prompt_id"], stored["example_id"])
    assert tokens is not None
    assert tokens.tokens == stored["tokens"]
    assert tokens.scores == [0.0, *stored["scores"][:-1]]
    assert sum(tokens.scores) == pytest.approx(sum(stored["scores"]))


def test_missing_rankings_are_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingResultError, match="the scores stage has not finished") as told:
        RankingReader(sample_run.new_run(tmp_path)).overview()
    assert "headwater run scores --run demo" in told.value.hint


def test_rankings_of_other_settings_are_stale(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.settings.write_text(
        run.settings.read_text().replace("normalize = true", "normalize = false")
    )
    assert RankingReader(run).overview().stale
