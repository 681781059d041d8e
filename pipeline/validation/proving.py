"""Tests a claim: models trained again without its examples, or one step on each of them.

Shape legend: N training examples, K examples of the claim, S seeds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.claims import Claims
from pipeline.contract.results.matching import Positions, randomly
from pipeline.contract.results.proofs import STAGE, Effects, Proof, current
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.proving import Claim
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.evaluation.statistics import t_difference, t_mean
from pipeline.influence.greedy_answers import TracedPrompt, as_given, traced_prompts
from pipeline.model import load_tokenizer, load_traced
from pipeline.validation.retraining import Completions, Retrainer, Training
from pipeline.validation.tail_patch import stepped
from pipeline.validation.trainers import trainers
from pipeline.validation.trainings import Trainings

PHASE = "trainings"
STEPS = "steps"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Sides:
    """The examples that are left out or stepped on, as positions."""

    marked: Positions
    matched: Positions
    """At the place of each marked one the one that is like it."""

    def of_seed(self, seed: int, examples: int) -> dict[str, Positions]:
        """What each training of a seed does without, by the name of its effect."""
        random = randomly(self.marked, examples, seed)
        return {"marked": self.marked, "matched": self.matched, "random": random}


@dataclass(frozen=True)
class Measured:
    """The completions that a claim is about."""

    completions: Completions
    rows: list[int]
    """Which of them."""

    def by(self, model: PreTrainedModel) -> float:
        """Their mean ln p; nats."""
        return float(self.completions.log_likelihoods(model, self.rows).mean())


def told_of(claim: Claim, settings: Settings, run: RunDir) -> list[TracedPrompt]:
    """Whose ln p a training for a claim keeps: every prompt of the run, so that it serves other
    claims too; or what was asked, which no other training has answered."""
    tokenizer = load_tokenizer(run.tokenizer)
    if claim.question is None:
        return traced_prompts(run, settings.prompts.use_generated, tokenizer)
    return as_given(
        [claim.question.as_prompt(settings.data.form == "chat", claim.prompt)], tokenizer
    )


class Prover:
    """Tests claims about one run."""

    def __init__(self, settings: Settings, run: RunDir, events: EventWriter) -> None:
        self._settings, self._run, self._events = settings, run, events
        self._examples = TokenDataset.of_examples(run)

    def prove(self, claim: Claim) -> Proof:
        """What trainings, or steps, show of a claim.

        Raises:
            UsageError: it cannot be tested in this run as it is now.
            HeadwaterError: every training diverged.
        """
        claims = Claims(self._run)
        marked = claims.named(claim.examples)
        about = claim.question or claim.prompt
        claims.claim(about, marked, claim.origin, claim.seeds, claim.by_steps)
        sides = Sides(marked, claims.beside(marked))
        test = self._by_steps if claim.by_steps else self._by_training
        return test(claim, sides, self._measured(claim, claims))

    def _measured(self, claim: Claim, claims: Claims) -> Measured:
        """Of the claim's prompt, of its set's, or of what was asked."""
        traced = told_of(claim, self._settings, self._run)
        ids = [one.prompt.id for one in traced]
        chosen = [claim.prompt] if claim.question else claims.prompts(claim.prompt)
        completions = Completions(traced, self._settings.train.batch_tokens)
        return Measured(completions, [ids.index(one) for one in chosen])

    def _by_training(self, claim: Claim, sides: Sides, measured: Measured) -> Proof:
        seeds = range(self._settings.run.seed, self._settings.run.seed + claim.seeds)
        everything = np.arange(len(self._examples))
        planned: list[tuple[str, Training]] = []
        for seed in seeds:
            planned.append(("everything", Training(everything, seed)))
            for name, left_out in sides.of_seed(seed, len(everything)).items():
                kept = np.setdiff1d(everything, left_out)
                planned.append((name, Training(kept, seed)))
        found, done = self._train(planned, measured)
        there = np.isfinite(list(found.values())).all(axis=0)  # [S]
        if not there.any():
            raise HeadwaterError(
                "a training of every seed diverged: nothing is proven",
                "lower train.learning_rate",
            )
        before = found.pop("everything")[there]
        drops = {name: before - values[there] for name, values in found.items()}
        failed = int((~there).sum())
        return self._proof(claim, drops, float(before.mean()), done, failed)

    def _train(
        self, planned: Sequence[tuple[str, Training]], measured: Measured
    ) -> tuple[dict[str, Values], int]:
        """Mean ln p of the completions [S] after each kind of training, and how many were new."""
        retrainer = Retrainer(self._settings, self._run, measured.completions)
        trainings = [training for _, training in planned]
        retrainer.keep_own(trainings)
        work = Trainings(PHASE, trainings, retrainer, self._run)
        missing = sum(not work.has(part) for part in work.parts)
        kept = len(planned) - missing
        self._events.note(f"{len(planned)} trainings, {kept} of them kept from earlier ones")
        if missing:
            with trainers(STAGE, self._settings, self._run, self._events, missing) as sharing:
                work.do(sharing, self._settings, self._events)
        found: dict[str, list[float]] = {}
        for (name, _), outcome in zip(planned, work.outcomes(trainings), strict=True):
            found.setdefault(name, []).append(float(outcome[measured.rows].mean()))
        return {name: np.array(values) for name, values in found.items()}, missing

    def _by_steps(self, claim: Claim, sides: Sides, measured: Measured) -> Proof:
        model = load_traced(self._settings, self._run.model)
        before = measured.by(model)
        left_out = sides.of_seed(self._settings.run.seed, len(self._examples))
        total, gains = sum(map(len, left_out.values())), dict[str, Values]()
        for name, positions in left_out.items():
            after = []
            for position in positions.tolist():
                with stepped(model, self._examples[position]):
                    after.append(measured.by(model))
                done = sum(map(len, gains.values())) + len(after)
                self._events.progress(done, total, "steps", STEPS)
            gains[name] = np.array(after) - before
        return self._proof(claim, gains, before, 0, 0)

    def _proof(
        self, claim: Claim, effects: Mapping[str, Values], before: float, done: int, failed: int
    ) -> Proof:
        marked, matched, random = (effects[name].tolist() for name in _NAMES)
        return Proof(
            claim=claim,
            effects=Effects(
                marked=t_mean(marked),
                matched=t_mean(matched),
                random=t_mean(random),
                over_matched=t_difference(matched, marked),
                over_random=t_difference(random, marked),
            ),
            before=before,
            trainings=done,
            failed=failed,
            made_of=current(self._run),
            proven_at=time.time(),
        )


_NAMES = ("marked", "matched", "random")
