"""A set of prompts is ranked as one query, from the rows that its prompts have."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.contract.errors import MissingResultError, UsageError
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.sets import mean_of_rows, set_ranking, sets_of
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, save_prompts
from tests.small_scores import METADATA, finished_run, save_score_file


def scores(values: list[float]) -> Scores:
    return np.array(values, np.float32)


def prompt(prompt_id: str, of_set: str | None) -> Prompt:
    return Prompt(id=prompt_id, prompt="The river runs", completion=" past", set=of_set)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = finished_run(tmp_path)
    save_score_file(run)
    first, second = METADATA.prompts
    save_prompts(run.prepared_prompts, [prompt(first, "both"), prompt(second, "both")])
    return run


def test_prompts_of_a_set_keep_their_order() -> None:
    prompts = [prompt("b", "x"), prompt("a", None), prompt("c", "y"), prompt("a2", "x")]
    assert sets_of(prompts) == {"x": ("b", "a2"), "y": ("c",)}


def test_a_prompt_whose_scores_are_a_thousand_times_larger_counts_no_more() -> None:
    small, large = scores([1, -1, 1, -1]), scores([1000, 1000, -1000, -1000])
    mean, there = mean_of_rows([("small", small), ("large", large)], 4)
    assert mean.tolist() == [1, 0, 0, -1]
    assert there == ("small", "large")


def test_an_example_without_a_score_for_one_prompt_has_none_for_the_set() -> None:
    mean, _ = mean_of_rows([("a", scores([np.nan, 1])), ("b", scores([1, 1]))], 2)
    assert np.isnan(mean).tolist() == [True, False]


def test_a_prompt_that_no_example_has_a_score_for_is_left_out() -> None:
    rows = [("none", scores([np.nan, np.nan])), ("zero", scores([0, 0]))]
    mean, there = mean_of_rows([*rows, ("a", scores([-2, 2]))], 2)
    assert mean.tolist() == [-1, 1]
    assert there == ("a",)


def test_a_set_is_ranked_by_every_method(run: RunDir) -> None:
    file = ScoreFile(run)
    for method in METADATA.methods:
        found = set_ranking(run, "both", method)
        rows = zip(METADATA.prompts, file.method(method), strict=True)
        expected, there = mean_of_rows(rows, METADATA.examples)
        np.testing.assert_array_equal(found.scores, expected)
        assert found.prompts == there
        ranked = found.scores[found.order]
        assert (np.diff(ranked) <= 0).all()
        assert len(found.order) == np.count_nonzero(~np.isnan(expected))
    assert set_ranking(run, "both").method == METADATA.default_method


def test_an_unknown_set_is_told_with_those_that_are(run: RunDir) -> None:
    with pytest.raises(UsageError, match=re.escape("no set 'all'; valid: both")):
        set_ranking(run, "all")
    with pytest.raises(UsageError, match="the name of the set is empty"):
        set_ranking(run, " ")
    with pytest.raises(UsageError, match="no method 'guess'; valid: "):
        set_ranking(run, "both", "guess")
    save_prompts(run.prepared_prompts, [prompt(METADATA.prompts[0], None)])
    with pytest.raises(UsageError, match="no prompt of the run names a set"):
        set_ranking(run, "both")


def test_a_set_with_a_prompt_that_is_not_scored_yet_is_refused(run: RunDir) -> None:
    save_prompts(run.prepared_prompts, [prompt(METADATA.prompts[0], "s"), prompt("new", "s")])
    with pytest.raises(MissingResultError, match="no scores yet for 1 of its 2 prompts, as 'new'"):
        set_ranking(run, "s")
