"""transformers' Trainer on token-budget batches, telling its progress as events."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from pipeline.batches import TokenBudgetSampler, token_budget_batches
from pipeline.contract.results import training as names
from pipeline.contract.run.events import EventWriter
from pipeline.corpus.examples import TokenBatch, TokenDataset, pad_batch
from pipeline.model import load_model
from pipeline.training.checkpoints import read_state


class TokenTrainer(Trainer):
    """Trains on whole examples; every real token of an optimiser step weighs the same."""

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        examples: TokenDataset,
        validation: TokenDataset,
        sampler: TokenBudgetSampler,
        watch: DivergenceWatch,
    ) -> None:
        self.network = model
        self._examples = examples
        self._sampler = sampler
        self._validation = validation
        self._watch = watch
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=examples,
            eval_dataset=validation,
            callbacks=[watch],
        )
        self.remove_callback(PrinterCallback)

    @property
    def diverged(self) -> str | None:
        """Why training stopped early, if it did."""
        return self._watch.diverged

    def logged(self, name: str, newest: bool = True) -> float | None:
        """The newest or the oldest reading of "loss" or "eval_loss", interrupted attempts too."""
        readings = [row[name] for row in self.state.log_history if name in row]
        return readings[-1 if newest else 0] if readings else None

    def restore(self, checkpoint: Path) -> None:
        """Takes weights, step and readings from a checkpoint, as the end of the training."""
        self.network.load_state_dict(load_model(checkpoint, self.args.device).state_dict())
        self.state = read_state(checkpoint)

    def get_train_dataloader(self) -> DataLoader[TokenBatch]:
        """Batches of whole examples, other ones every epoch."""
        loader = DataLoader(
            self._examples,
            batch_sampler=self._sampler,
            collate_fn=pad_batch,
            pin_memory=self.args.dataloader_pin_memory,
        )
        prepared: DataLoader[TokenBatch] = self.accelerator.prepare(loader)
        return prepared

    def evaluate(self, *_arguments: Any, **_options: Any) -> dict[str, float]:
        """Tells the validation loss."""
        metrics = {"eval_loss": self.mean_loss(self._validation)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def is_sound(self) -> bool:
        """Whether the restored weights are of use: not much worse than those of the base."""
        base = self.logged("eval_loss", newest=False) or self.logged("loss", newest=False)
        return base is not None and self.mean_loss(self._validation or self._examples) < 1.1 * base

    @torch.no_grad()
    def mean_loss(self, dataset: TokenDataset) -> float:
        """Loss in nats a token, every token of the dataset weighing the same."""
        lengths = dataset.lengths
        predicted = torch.tensor(sum(length - 1 for length in lengths), device=self.args.device)
        total = torch.zeros((), device=self.args.device)
        self.network.train(False)
        for batch in token_budget_batches(lengths, self._sampler.budget):
            inputs = self._prepare_inputs({**pad_batch([dataset[i] for i in batch])})
            # divided by all predicted tokens, so that the parts add up to the mean
            total += torch.as_tensor(
                self.compute_loss(self.network, inputs, num_items_in_batch=predicted)
            )
        return total.item()


class DivergenceWatch(TrainerCallback):
    """Stops a training whose loss is no longer a number."""

    def __init__(self) -> None:
        self.diverged: str | None = None

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Has the loss looked at before any checkpoint."""
        control.should_log = control.should_log or control.should_save

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Looks at the readings of a step or of a validation."""
        vital = [logs[name] for name in _VITAL if name in logs] if logs else []
        if not math.isfinite(math.fsum(vital)):
            self.diverged = f"the loss was no longer a number at step {state.global_step:,}"
            control.should_training_stop = True
            control.should_save = control.should_evaluate = False


class EventCallback(DivergenceWatch):
    """Tells steps and readings as events."""

    def __init__(self, events: EventWriter) -> None:
        super().__init__()
        self._events = events
        self._clock = (0.0, 0)  # monotonic seconds, tokens seen then

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Starts the clock."""
        self._clock = (time.monotonic(), state.num_input_tokens_seen)
        self._events.progress(state.global_step, state.max_steps, "steps")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tells the step."""
        super().on_step_end(args, state, control)
        self._events.progress(state.global_step, state.max_steps, "steps")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Tells the readings of a step or of a validation."""
        logs, step = logs or {}, state.global_step
        if "eval_loss" in logs:
            loss = logs["eval_loss"]
            readings = {names.VALIDATION_LOSS: loss, names.PERPLEXITY: perplexity(loss) or math.inf}
            print(f"step {step:,} of {state.max_steps:,}: validation loss {loss:.4f}", flush=True)
        elif "loss" in logs:
            readings = {name: logs[log] for log, name in _TOLD.items()}
            readings[names.TOKENS_PER_SECOND] = self._rate(state.num_input_tokens_seen)
        else:
            return
        for name, value in readings.items():
            if math.isfinite(value):
                self._events.metric(name, value, step, names.UNITS.get(name, ""))
        super().on_log(args, state, control, logs)

    def _rate(self, tokens: int) -> float:
        """Tokens a second since the reading before."""
        then, before = self._clock
        now = time.monotonic()
        self._clock = (now, tokens)
        return (tokens - before) / max(now - then, 1e-9)


_TOLD = {
    "loss": names.LOSS,
    "learning_rate": names.LEARNING_RATE,
    "grad_norm": names.GRADIENT_NORM,
}
"""What transformers calls a reading → the name of ours."""
_VITAL = ("loss", "grad_norm", "eval_loss")


def perplexity(loss: float | None) -> float | None:
    """exp(loss), or None where it is no number that a file could hold."""
    return math.exp(loss) if loss is not None and loss < 700 else None
