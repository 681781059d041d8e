"""Trains the run's model again, from the very base it started from, on some of its examples.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import (
    PreTrainedModel,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from pipeline.batches import TokenBudgetSampler
from pipeline.contract.errors import DataError
from pipeline.contract.results.training import read_training
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.evaluation.encoding import Request
from pipeline.evaluation.likelihood import likelihoods
from pipeline.influence.greedy_answers import TracedPrompt
from pipeline.model import load_model, select_device
from pipeline.pretrained.adapters import network_of
from pipeline.training.adapting import trainable
from pipeline.training.arguments import training_arguments
from pipeline.training.trainer import DivergenceWatch, TokenTrainer
from pipeline.validation.ledger import Ledger, Outcome

OnStep = Callable[[int, int], None]
"""Hears the steps done and their number."""


class Completions:
    """How likely a model finds the prompts' completions, or by how much more than other ones."""

    def __init__(self, traced: Sequence[TracedPrompt], budget: int) -> None:
        """`budget`: most tokens of a batch."""
        self._requests = [Request(one.context, (one.answer,)) for one in traced]
        others = ((row, one.other) for row, one in enumerate(traced) if one.other is not None)
        self._others = {row: Request(context, (answer,)) for row, (context, answer) in others}
        self._budget = budget

    def log_likelihoods(self, model: PreTrainedModel, chosen: Sequence[int] = ()) -> Outcome:
        """ln p of each completion [Q] after its prompt, summed over its tokens; in nats. Minus that
        of the completion that it is set against, where there is one.

        Those of the `chosen` prompts only, where any are.
        """
        rows = list(chosen) or range(len(self._requests))
        totals = self._totals(model, [self._requests[row] for row in rows])
        against = [place for place, row in enumerate(rows) if row in self._others]
        if against:
            totals[against] -= self._totals(model, [self._others[rows[place]] for place in against])
        return totals

    def _totals(self, model: PreTrainedModel, requests: Sequence[Request]) -> Outcome:
        totals = np.full(len(requests), np.nan)
        for index, likelihood in likelihoods(model, requests, self._budget):
            totals[index] = likelihood[0].total
        return totals

    def key(self) -> str:
        """What says that other prompts are other outcomes."""
        asked = repr(self._requests) + (repr(self._others) if self._others else "")
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Training:
    """A training from the run's base with the run's settings."""

    kept: NDArray[np.intp]
    """The examples it sees, ascending indices."""
    seed: int
    """Of the order of its batches."""

    def __str__(self) -> str:
        return f"{len(self.kept):,} examples, seed {self.seed}"


class Retrainer:
    """Trainings on chosen examples with the run's own settings."""

    def __init__(self, settings: Settings, run: RunDir, completions: Completions) -> None:
        self._settings = settings
        self._run = run
        self._completions = completions
        self._examples = TokenDataset.of_examples(run)
        self.ledger = Ledger(run)
        """What trainings came to, by `key`."""
        trained = freshness.Done.read("train", run)
        assert trained is not None  # the stage needs it
        self._prefix = f"{trained.id[:16]} {completions.key()}"

    @property
    def examples(self) -> int:
        """How many there are to choose from: N."""
        return len(self._examples)

    def known(self, training: Training) -> Outcome | None:
        """What the training came to, if it has been done before; else None."""
        return self.ledger.get(self.key(training))

    def keep_own(self, trainings: Iterable[Training]) -> None:
        """Keeps what the one of them that has made the run's model came to: it has been done."""
        for training in trainings:
            if self._is_own(training) and self.known(training) is None:
                model = load_model(self._run.model, select_device(self._settings))
                self.ledger.put(self.key(training), self._completions.log_likelihoods(model))

    def key(self, training: Training) -> str:
        """Names all that decides what the training comes to: base, prompts, examples, seed."""
        examples = hashlib.sha256(training.kept.tobytes()).hexdigest()[:16]
        return f"{self._prefix} {examples} {training.seed}"

    def outcome(self, training: Training, on_step: OnStep) -> Outcome:
        """What the training came to before, or comes to now; raises as `train` does."""
        outcome = self.known(training)
        if outcome is None:
            outcome = self.train(training, on_step)
            self.ledger.put(self.key(training), outcome)
        return outcome

    def train(self, training: Training, on_step: OnStep) -> Outcome:
        """Trains: ln p of the completions [Q] afterwards; NaN if it diverged.

        Raises:
            DataError: it would see no examples.
        """
        if not len(training.kept):
            raise DataError(
                f"of {len(self._examples):,} examples none is left to train a model again",
                "lower validation.removed, or add documents",
            )
        chosen = self._settings.run.model_copy(update={"seed": training.seed})
        alone = self._settings.train.model_copy(update={"processes": 1, "shard": False})
        settings = self._settings.model_copy(update={"run": chosen, "train": alone})
        examples = self._examples.subset(training.kept.tolist())
        budget = settings.train.batch_tokens
        sampler = TokenBudgetSampler(examples.lengths, budget, training.seed)
        arguments = training_arguments(
            settings, self._run, len(sampler), validates=False, saves=False
        )
        base = load_model(self._run.base, select_device(settings))
        # an adapter begins as the run's own began, whatever the order of the batches
        model = trainable(base, self._settings, self._run)
        watch = _Steps(on_step)
        trainer = TokenTrainer(model, arguments, examples, examples.subset([]), sampler, watch)
        trainer.train()
        model.train(False)
        outcome = self._completions.log_likelihoods(network_of(model))
        return np.full_like(outcome, np.nan) if trainer.diverged else outcome

    def _is_own(self, training: Training) -> bool:
        """Whether it is the training that has made the run's model."""
        same = (len(training.kept), training.seed) == (self.examples, self._settings.run.seed)
        whole = read_training(self._run).stopped_early is None
        return same and whole and not self._settings.model.trained


class _Steps(DivergenceWatch):
    def __init__(self, on_step: OnStep) -> None:
        super().__init__()
        self._on_step = on_step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        super().on_step_end(args, state, control)
        self._on_step(state.global_step, state.max_steps)
