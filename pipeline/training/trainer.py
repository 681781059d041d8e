"""transformers' Trainer on token-budget batches, with progress and metrics as events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader  # type: ignore[import-untyped]
from peft import PeftModel
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
from pipeline.contract.files import sync_below
from pipeline.contract.results import learning_curves as names
from pipeline.contract.run.events import EventWriter
from pipeline.corpus.examples import TokenBatch, TokenDataset, pad_batch
from pipeline.model import load_model
from pipeline.pretrained.adapters import fill
from pipeline.training.checkpoints import read_state
from pipeline.training.sharding import shard_on_cpu
from pipeline.training.stopping import ValidationPutOffError


class TokenTrainer(Trainer):
    """Trains on token-budget batches; each token of an optimiser step has the same weight."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
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
        # it prints every log as a dict, among the lines of `EventCallback`
        self.remove_callback(PrinterCallback)

    @property
    def diverged(self) -> str | None:
        """Why training stopped early; None if it did not."""
        return self._watch.diverged

    def logged(self, name: str, newest: bool = True) -> float | None:
        """The newest, or the first, logged "loss" or "eval_loss", earlier attempts included."""
        values = [row[name] for row in self.state.log_history if name in row]
        return values[-1 if newest else 0] if values else None

    def restore(self, checkpoint: Path) -> None:
        """Loads weights, step and logged values of a checkpoint, as the result of the training."""
        if isinstance(self.network, PeftModel):
            fill(self.network, checkpoint, str(checkpoint))
        else:  # the device may have no room for two
            self.network.load_state_dict(load_model(checkpoint, torch.device("cpu")).state_dict())
        self.state = read_state(checkpoint)

    def exchange(self, model: PreTrainedModel) -> None:
        """Lets go of a model that is sharded, with its optimiser, and has a whole one in its place;
        for what comes after the training."""
        self.accelerator.free_memory()
        self.optimizer = self.lr_scheduler = None
        self.model = self.model_wrapped = self.network = model.to(self.args.device)  # type: ignore[arg-type]
        for name in ("model", "optimizer", "lr_scheduler"):
            setattr(self.callback_handler, name, None)

    def create_accelerator_and_postprocess(self) -> None:
        """As the Trainer's, but on CPUs, too, the processes share a model that is to be sharded."""
        super().create_accelerator_and_postprocess()
        if self.args.fsdp and not self.is_fsdp_enabled:
            shard_on_cpu(self.accelerator, self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def get_train_dataloader(self) -> DataLoader[TokenBatch]:
        """Token-budget batches of whole examples, reshuffled every epoch."""
        # the Trainer's own would make batches of a fixed number of examples
        loader = DataLoader(
            self._examples,
            batch_sampler=self._sampler,
            collate_fn=pad_batch,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # as of one process: the sampler itself gives each of several its share of every batch
        prepared: DataLoader[TokenBatch] = prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )
        return prepared

    def evaluate(self, *_arguments: Any, **_options: Any) -> dict[str, float]:
        """Computes and logs the validation loss, {"eval_loss": nats per token}; gives nothing where
        a stop puts it off."""
        # not the Trainer's own: that is a mean over batches, whatever number of tokens they have
        try:
            metrics = {"eval_loss": self.mean_loss(self._validation, self._look_around)}
        except ValidationPutOffError:
            return {}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def is_sound(self) -> bool:
        """Whether the restored weights' loss is less than 10% above that of the base model."""
        base = self.logged("eval_loss", newest=False) or self.logged("loss", newest=False)
        return base is not None and self.mean_loss(self._validation or self._examples) < 1.1 * base

    @torch.no_grad()
    def mean_loss(
        self, dataset: TokenDataset, before_batch: Callable[[], object] = lambda: None
    ) -> float:
        """Mean loss of the dataset in nats per token; every predicted token weighs the same."""
        lengths = dataset.lengths
        predictions = torch.tensor(sum(dataset.predictions), device=self.args.device)
        total = torch.zeros((), device=self.args.device)
        self.network.train(False)  # without dropout
        for batch in token_budget_batches(lengths, self._sampler.budget):
            before_batch()
            inputs = self._prepare_inputs({**pad_batch([dataset[i] for i in batch])})
            # each batch divided by the predictions of all: the batches add up to the mean
            total += torch.as_tensor(
                self.compute_loss(self.network, inputs, num_items_in_batch=predictions)
            )
        # each process has the whole, which `compute_loss` takes for a share of it
        processes: int = self.accelerator.num_processes
        return total.item() / processes

    def _look_around(self) -> None:
        self.callback_handler.on_prediction_step(self.args, self.state, self.control)


class DivergenceWatch(TrainerCallback):
    """Stops a training whose loss or gradient norm is no longer finite."""

    def __init__(self) -> None:
        self.diverged: str | None = None

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Logs the loss before each checkpoint, so that no diverged weights are saved."""
        control.should_log = control.should_log or control.should_save

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Checks the logged values of a step or of a validation."""
        monitored = [logs[name] for name in _MONITORED if name in logs] if logs else []
        if not math.isfinite(math.fsum(monitored)):
            self.diverged = f"the loss was no longer a number at step {state.global_step:,}"
            control.should_training_stop = True
            # neither a checkpoint nor a validation of diverged weights
            control.should_save = control.should_evaluate = False


class EventCallback(DivergenceWatch):
    """Emits progress and metric events, and stops a diverged training."""

    def __init__(self, events: EventWriter) -> None:
        super().__init__()
        self._events = events
        self._clock = (0.0, 0)  # (monotonic seconds, tokens seen) at the last log

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Emits the first progress event and starts measuring the speed."""
        self._clock = (time.monotonic(), state.num_input_tokens_seen)
        self._events.progress(state.global_step, state.max_steps, "steps", "training")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Emits a progress event."""
        super().on_step_end(args, state, control)
        self._events.progress(state.global_step, state.max_steps, "steps", "training")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Sees to it that a checkpoint outlives a loss of power: the Trainer leaves it to the
        system."""
        sync_below(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Emits a metric event for each logged value of a step or of a validation."""
        logs, step = logs or {}, state.global_step
        if "eval_loss" in logs:
            loss = logs["eval_loss"]
            values = {names.VALIDATION_LOSS: loss, names.PERPLEXITY: perplexity(loss) or math.inf}
            print(f"step {step:,} of {state.max_steps:,}: validation loss {loss:.4f}", flush=True)
        elif "loss" in logs:
            values = {name: logs[log] for log, name in _LOGGED.items()}
            values[names.TOKENS_PER_SECOND] = self._rate(state.num_input_tokens_seen)
        else:
            return
        values[names.TOKENS] = state.num_input_tokens_seen
        for name, value in values.items():
            if math.isfinite(value):  # JSON has no NaN and no infinity
                self._events.metric(name, value, step, names.UNITS.get(name, ""))
        super().on_log(args, state, control, logs)

    def _rate(self, tokens: int) -> float:
        """Tokens per second since the last log."""
        then, before = self._clock
        now = time.monotonic()
        self._clock = (now, tokens)
        return (tokens - before) / max(now - then, 1e-9)


_LOGGED = {
    "loss": names.LOSS,
    "learning_rate": names.LEARNING_RATE,
    "grad_norm": names.GRADIENT_NORM,
}
"""Names of logged values in transformers → names of our metrics."""
_MONITORED = ("loss", "grad_norm", "eval_loss")
"""Logged values that must be finite."""


def perplexity(loss: float | None) -> float | None:
    """exp(loss); None if there is no loss, or if the result would exceed a float64."""
    return math.exp(loss) if loss is not None and loss < 700 else None
