"""What a ranking is compared with: the size of gradients, and another prompt's ranking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pipeline.contract.errors import UsageError
from pipeline.contract.results.controls import Agreement, ControlReader, Controls, agreement
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt

SCORES = st.lists(st.integers(-3, 3), min_size=3, max_size=40)


@given(SCORES)
def test_it_is_spearmans_correlation_with_ties_at_their_mean(values: list[int]) -> None:
    first = np.array(values, np.float32)
    second = np.roll(first, 1) * np.float32(0.5)
    found = agreement(first, second).correlation
    if len(set(values)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_a_ranking_agrees_with_itself_and_not_with_its_reverse() -> None:
    scores = np.random.default_rng(1).standard_normal(100).astype(np.float32)
    same, reverse = agreement(scores, scores), agreement(scores, -scores)
    assert same.correlation == pytest.approx(1)
    assert reverse.correlation == pytest.approx(-1)
    assert (same.shared, reverse.shared) == (10, 0)
    assert same.is_much
    assert not reverse.is_much


@given(SCORES)
def test_the_first_are_those_of_the_ranking(values: list[int]) -> None:
    first = np.array([*values, *range(8)], np.float32)
    second = np.roll(first, 3)
    found = agreement(first, second)
    tops = [set(highest_first(scores)[: found.first].tolist()) for scores in (first, second)]
    assert found.shared == len(tops[0] & tops[1])


def test_many_examples_are_correlated_by_some_of_them() -> None:
    chance = np.random.default_rng(1)
    first, noise = chance.standard_normal((2, 200_000)).astype(np.float32)
    found = agreement(first, first + noise).correlation
    whole = spearmanr(first, first + noise).statistic
    assert found == pytest.approx(whole, abs=4 / np.sqrt(200_000 / 11))  # four standard errors


def test_half_of_the_first_in_common_is_much() -> None:
    first = np.arange(100, dtype=np.float32)
    second = np.random.default_rng(1).permutation(100).astype(np.float32)
    second[-5:] += 1000  # five of the first's ten
    found = agreement(first, second)
    assert found.shared >= 5
    assert found.is_much


def test_examples_without_a_score_are_left_out() -> None:
    first = np.array([9, 8, 7, 6, 5, 4, 3, 2, np.nan, 1], np.float32)
    second = np.array([9, 8, 7, 6, 5, 4, 3, 2, 99, np.nan], np.float32)
    found = agreement(first, second)
    assert found.correlation == pytest.approx(1)
    assert (found.shared, found.first) == (2, 2)
    assert agreement(first, np.full(10, np.nan, np.float32)) == Agreement(None, 0, 0)


def test_self_influence_is_the_size_that_a_ranking_is_compared_with(scored_run: RunDir) -> None:
    file, prompts = ScoreFile(scored_run), read_prompts(scored_run)
    prompt = prompts[0].id
    found = ControlReader(file, prompts).read(prompt, "ekfac")
    own = file.scores(file.metadata.prompts.index(prompt), "ekfac")
    sizes = np.sqrt(file.self_influence("ekfac"))
    assert found.size.correlation == pytest.approx(spearmanr(own, sizes).statistic, abs=1e-6)
    first = set(np.argsort(-own, kind="stable")[:10]) & set(np.argsort(-sizes, kind="stable")[:10])
    assert found.size.shared == len(first)


@pytest.mark.parametrize("method", ["ekfac_normalized", "bm25", "layer 0"])
def test_every_ranking_has_controls(scored_run: RunDir, method: str) -> None:
    file, prompts = ScoreFile(scored_run), read_prompts(scored_run)
    found = ControlReader(file, prompts).read(prompts[0].id, method)
    assert found.other_prompt in {prompt.id for prompt in prompts[1:]}
    assert found.other


def test_the_other_prompt_shares_the_fewest_words(scored_run: RunDir) -> None:
    file = ScoreFile(scored_run)
    one, *others = file.metadata.prompts
    texts = ["Mara plays the oboe", *["Mara plays the flute"] * (len(others) - 1), "Tellin is old"]
    prompts = [
        Prompt(id=id, prompt=text) for id, text in zip(file.metadata.prompts, texts, strict=True)
    ]
    assert ControlReader(file, prompts).read(one, "ekfac").other_prompt == others[-1]


def test_a_prompt_that_was_not_scored_is_refused(scored_run: RunDir) -> None:
    with pytest.raises(UsageError, match="'nobody' was not scored"):
        ControlReader(ScoreFile(scored_run), []).read("nobody", "ekfac")


def test_no_correlation_has_no_sign() -> None:
    assert str(Agreement(-0.001, 0, 10)) == "rank correlation 0.00, 0 of the first 10"


def test_what_is_much_is_said_as_a_warning() -> None:
    little, much = Agreement(0.12, 1, 10), Agreement(0.9, 2, 10)
    found = Controls("one", "ekfac", little, "two", much)
    assert list(found.lines()) == [
        ("agreement with gradient size alone: rank correlation 0.12, 1 of the first 10", False),
        (
            "agreement with the ranking of prompt two: rank correlation 0.90, 2 of the first 10: "
            "this ranking says hardly more than the ranking of prompt two",
            True,
        ),
    ]
