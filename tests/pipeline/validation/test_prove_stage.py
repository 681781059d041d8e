"""The prove stage on a small run: what it trains, what it keeps, what it says, what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.contract.errors import UsageError
from pipeline.contract.results.claims import Claims
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.proofs import Proof, load_proofs, read_proofs
from pipeline.contract.results.sets import set_row
from pipeline.contract.results.validation import read_retrainings
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventReader, Note, Progress
from pipeline.contract.run.new_run import change_settings
from pipeline.contract.run.proving import Claim, question_id, write_claim
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import save_prompts
from pipeline.stages import prove
from tests.small_runs import as_written, run_here


@pytest.fixture(scope="module")
def scored(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the scores stage; tests prove claims in it, and change nothing else."""
    return RunDir(shutil.copytree(scored_run.root, tmp_path_factory.mktemp("proven") / "run"))


@pytest.fixture
def own(scored: RunDir, tmp_path: Path) -> RunDir:
    """A copy that the test may change."""
    return RunDir(shutil.copytree(scored.root, tmp_path / "run"))


def first(run: RunDir, prompt: str, count: int = 3, seeds: int = 2) -> Claim:
    claims = Claims(run)
    return claims.claim(prompt, claims.first(prompt, count), claims.first_told(count), seeds)


def proven(run: RunDir, claim: Claim) -> Proof:
    write_claim(run, claim)
    run_here(run, prove)
    return read_proofs(run)[-1]


@pytest.fixture(scope="module")
def proof(scored: RunDir) -> Proof:
    return proven(scored, first(scored, "river"))


def test_a_proof_holds_the_drops_over_the_seeds_and_their_paired_difference(proof: Proof) -> None:
    effects = proof.effects
    assert effects.marked.n == effects.matched.n == effects.random.n == 2
    difference = effects.marked.value - effects.matched.value
    assert effects.over_matched.difference == pytest.approx(difference)
    assert effects.over_random.n == 2
    assert effects.marked.low is not None
    assert effects.marked.low <= effects.marked.value
    assert proof.before < 0
    assert (proof.trainings, proof.failed) == (7, 0), "the run's own model is one of the eight"
    assert (proof.claim.prompt, len(proof.claim.examples)) == ("river", 3)


def test_what_it_will_take_is_told_by_the_trainings_that_run_side_by_side(
    scored: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.contract.results.claims.at_once", lambda *_: 3)
    trained = freshness.Done.read("train", scored)
    assert trained
    cost = Claims(scored).cost(first(scored, "river"))
    assert cost.seconds == pytest.approx(3 * trained.seconds), "eight trainings, three at once"
    assert str(cost).startswith("at most 8 trainings, 3 at once, about ")


def test_a_kept_training_knows_every_prompt_and_serves_the_next_claim(
    scored: RunDir, proof: Proof
) -> None:
    names = {example.id for example in Claims(scored).corpus.examples(np.arange(48))}
    assert set(proof.claim.examples) <= names
    assert {len(line.values) for line in read_retrainings(scored)} == {2}
    again = Claims(scored).named(proof.claim.examples)
    other = proven(scored, Claims(scored).claim("baker", again, "the river's", 2))
    assert other.trainings == 0, "the same examples left out: every training serves this prompt too"
    assert other.effects.marked.value != proof.effects.marked.value


def test_more_seeds_train_only_what_is_missing(scored: RunDir, proof: Proof) -> None:
    more = proven(scored, first(scored, "river", seeds=3))
    assert more.trainings == 4
    assert more.effects.marked.n == 3


def test_progress_counts_the_trainings_and_the_log_says_how_many_are_kept(
    scored: RunDir, proof: Proof
) -> None:
    events = [event for event in EventReader(scored.events).read() if event.stage == "prove"]
    assert "8 trainings, 1 of them kept from earlier ones" in {
        event.message for event in events if isinstance(event, Note)
    }
    done = [event for event in events if isinstance(event, Progress) and event.total == 8]
    assert done[-1].done == 8


def test_a_proof_goes_stale_with_the_model_and_the_scores(own: RunDir, proof: Proof) -> None:
    before = load_proofs(own, "river")
    assert before
    assert all(one.fresh for one in before)
    text = own.settings.read_text()
    change_settings(own, text.replace("learning_rate = 0.003", "learning_rate = 0.004"))
    assert own.settings.read_text() != text
    assert not any(one.fresh for one in load_proofs(own, "river"))


def test_one_step_on_each_example_stands_for_a_training(own: RunDir) -> None:
    claims = Claims(own)
    marked = claims.first("river", 3)
    proof = proven(own, claims.claim("river", marked, "three", by_steps=True))
    assert proof.trainings == 0
    assert proof.effects.over_matched.n == 3, "pairs of an example and the one matched to it"
    assert str(proof).startswith("One step on each of these 3 changes the answer's ln p by ")
    assert proof.effects.marked.value > 0, "its first examples make the answer likelier"


def in_a_set(run: RunDir) -> str:
    """The row of a set that every prompt of the run has joined."""
    prompts = [one.model_copy(update={"set": "both"}) for one in read_prompts(run)]
    save_prompts(run.prepared_prompts, prompts)
    as_written(run, "prepare")
    return set_row("both")


def test_of_a_set_the_mean_over_its_prompts_is_measured_by_the_same_trainings(
    own: RunDir, proof: Proof
) -> None:
    about = in_a_set(own)
    claims = Claims(own)
    assert len(claims.first(about, 3)) == 3
    marked = claims.named(proof.claim.examples)
    each = [proven(own, claims.claim(one, marked, "three", 2)) for one in ("river", "baker")]
    of_set = proven(own, claims.claim(about, marked, "three", 2))
    assert [one.trainings for one in (*each, of_set)] == [0, 0, 0]
    mean = np.mean([one.effects.marked.value for one in each])
    assert of_set.effects.marked.value == pytest.approx(mean)
    assert "Without these 3 the mean ln p of 2 answers " in str(of_set)
    assert [one.value.claim for one in load_proofs(own, about)] == [of_set.claim]
    with pytest.raises(UsageError, match=r"'Σ none' is not in run; valid: river, baker, Σ both"):
        claims.first(set_row("none"), 3)


def test_a_question_is_proven_as_the_same_prompt_of_the_run_would_be(
    own: RunDir, proof: Proof
) -> None:
    """The trainings are the same; nobody has asked them the question, so they are done again."""
    claims = Claims(own)
    marked = claims.named(proof.claim.examples)
    question = Query("The river runs", " past the mill")
    asked = proven(own, claims.claim(question, marked, "three", 2))
    assert asked.trainings == 7
    assert asked.effects.marked.value == pytest.approx(proof.effects.marked.value, rel=1e-6)
    assert str(asked) == str(proof)
    again = proven(own, claims.claim(question, marked, "three", 2))
    assert again.trainings == 0
    against = replace(question, instead=" by the harbour")
    contrast = proven(own, claims.claim(against, marked, "three", by_steps=True))
    assert "the answer's ln p less that of 'by the harbour'" in str(contrast)
    assert question_id(against) != question_id(question)
    with pytest.raises(UsageError, match="no answer yet"):
        claims.claim(replace(question, completion=None), marked, "three")


def test_what_cannot_be_proven_is_refused_before_any_training(own: RunDir, tmp_path: Path) -> None:
    claims = Claims(own)
    with pytest.raises(UsageError, match="prompt 'sea' is not in run; valid: river, baker"):
        claims.first("sea", 5)
    with pytest.raises(UsageError, match="0 tokens are left to train on"):
        claims.claim("river", claims.first("river", 48), "all")
    with pytest.raises(UsageError, match="fewer than a batch of 256"):
        claims.claim("river", claims.first("river", 46), "most")
    with pytest.raises(UsageError, match="only 20 others"):
        claims.claim("river", claims.first("river", 28), "half")
    with pytest.raises(UsageError, match="'nowhere'; valid: sentences"):
        claims.of_source("nowhere")
    with pytest.raises(UsageError, match="group of near-duplicates 7"):
        claims.of_group(7)
    listed = tmp_path / "ids.txt"
    listed.write_text("d3\n\nd900\n")
    with pytest.raises(UsageError, match="line 3: no training example has the id 'd900'"):
        claims.listed(listed)
    listed.write_text("\n")
    with pytest.raises(UsageError, match="names no example"):
        claims.listed(listed)


def test_stale_rankings_are_not_proven(own: RunDir) -> None:
    freshness.forget("train", own)
    with pytest.raises(UsageError, match="the rankings are stale"):
        Claims(own)


def test_without_a_claim_the_stage_says_what_to_do(own: RunDir) -> None:
    own.claim.unlink(missing_ok=True)
    with pytest.raises(UsageError, match="there is nothing to prove"):
        run_here(own, prove)


def test_a_model_from_elsewhere_whose_recipe_nobody_knows_is_not_trained(own: RunDir) -> None:
    from pipeline.contract.run.proving import no_retraining
    from pipeline.contract.settings.loading import load_settings

    settings = load_settings(own.settings)
    model = settings.model.model_copy(update={"trained": "some/model"})
    reason = no_retraining(settings.model_copy(update={"model": model}), own)
    assert "how is not known here" in reason
