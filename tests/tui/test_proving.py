"""Proving from a ranking: asked first, then a stage; the verdict stands above the ranking."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.contract.results.claims import Claims
from pipeline.contract.results.proofs import Effects, Proof, append_proof, current
from pipeline.contract.results.verdict import Difference, Estimate
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.proving import Claim, read_claim
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tests.tui.watching import screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.cli import main
from tui.processes import launcher
from tui.screens.dialogs.confirm import ConfirmDialog
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.widgets.ranking_table import RankingTable


def estimate(value: float) -> Estimate:
    return Estimate(value, 3, 0.1, value - 0.4, value + 0.4)


def proof_of(run: RunDir, claim: Claim, drop: float, beside: float) -> Proof:
    difference = Difference(3, drop - beside, drop - beside - 0.5, drop - beside + 0.5, 0.01)
    effects = Effects(estimate(drop), estimate(beside), estimate(0.1), difference, difference)
    return Proof(claim, effects, -0.5, 12, 0, current(run), proven_at=1.0)


def first_five(run: RunDir, prompt: str) -> Claim:
    claims = Claims(run)
    return claims.claim(prompt, claims.first(prompt, 5), claims.first_told(5))


def prompt_of(run: RunDir) -> str:
    from pipeline.contract.results.prompts import read_prompts

    return read_prompts(run)[0].id


def test_the_sentence_names_the_direction_and_what_it_shows(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    claim = Claim("one", ("a", "b"), "the first 2 by ekfac")
    assert str(proof_of(run, claim, 3.1, 0.4)) == (
        "Without these 2 the answer's ln p falls by 3.10 nats (2.70 to 3.50); without 2 matched "
        "ones it falls by 0.40 (0.00 to 0.80): they taught it"
    )
    told = str(proof_of(run, claim, -3.1, 0.4))
    assert "rises by 3.10 nats (2.70 to 3.50)" in told
    assert told.endswith("they held it back")
    assert str(proof_of(run, claim, 0.4, 0.2)).endswith("no difference shown")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_verdict_stands_above_the_ranking(tmp_path: Path, size: tuple[int, int]) -> None:
    run = sample_run.scored_run(tmp_path)
    append_proof(run, proof_of(run, first_five(run, prompt_of(run)), 3.1, 0.4))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=size) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter")
        await until_shown(pilot, "they taught it")
        await pilot.press("enter")
        await until_shown(pilot, "they taught it")
        await pilot.press("escape", "escape", "j")
        await until(pilot, lambda: "they taught it" not in screen_text(app))


async def test_a_key_asks_with_the_cost_and_starts_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sample_run.scored_run(tmp_path)
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(launcher, "start_stages", lambda _run, stages: started.append(stages))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter", "V")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until_shown(pilot, "12 trainings")
        await pilot.press("n")
        assert not run.claim.exists()
        await until(pilot, lambda: stands_on(app, RankingsScreen))
        table = app.screen.query_one(RankingTable)
        table.focus()
        await pilot.press("space")
        await until(pilot, lambda: len(table.marked) == 1)
        await pilot.press("V")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        [marked] = table.marked
        assert table.listing
        await until_shown(pilot, f"the example {table.listing.corpus.example(marked).id}")
        await pilot.press("y")
        await until(pilot, lambda: stands_on(app, RunScreen))
    assert started == [("prove",)]
    assert len(read_claim(run).examples) == 1


async def test_without_marks_what_stands_first_is_proven_whatever_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sample_run.scored_run(tmp_path)
    monkeypatch.setattr(launcher, "start_stages", lambda *_: None)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter", "b")
        await until_shown(pilot, "bottom")
        table = app.screen.query_one(RankingTable)
        listing = table.listing
        assert listing is not None
        shown = {listing.corpus.example(listing.position(line)).id for line in range(5)}
        await pilot.press("V")
        await until_shown(pilot, "the last 5 by ekfac_normalized")
        await pilot.press("y")
        await until(pilot, lambda: stands_on(app, RunScreen))
    assert set(read_claim(run).examples) == shown
    assert read_claim(run).origin == "the last 5 by ekfac_normalized"


def test_the_verb_refuses_in_one_line_what_cannot_be_proven(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path / "runs")

    def told(*options: str) -> str:
        given = ["--runs", str(tmp_path / "runs"), "prove", run.name, *options]
        result = CliRunner().invoke(main, given)
        assert result.exit_code in (2, 3)
        return result.stderr

    prompt = prompt_of(run)
    assert "is not in" in told("--prompt", "nothing")
    assert "says whose answer" in told()
    assert "says whose answer" in told("--prompt", prompt, "--set", "x")
    assert "'Σ x' is not in" in told("--set", "x")
    assert "give one of them" in told("--prompt", prompt, "--top", "2", "--source", "x")
    assert "no training example comes from 'x'" in told("--prompt", prompt, "--source", "x")
    lock = acquire_lock(run)
    try:
        assert f"run {run.name} is " in told("--prompt", prompt)
    finally:
        os.close(lock)
