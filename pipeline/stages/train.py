"""Stage train: trains or fine-tunes the model, beside the base that it started from.

Whole examples in batches under a token budget, so no attention crosses documents. A killed
training goes on from its last checkpoint and ends with the very weights it would have had.
"""

from __future__ import annotations

import importlib.util
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from pipeline.batches import TokenBudgetSampler, token_budget_batches
from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.events import EventWriter
from pipeline.contract.files import read_json, write_json
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import Settings
from pipeline.corpus.examples import IGNORED, TokenBatch, TokenDataset, pad_batch
from pipeline.influence.modules import resolve_modules
from pipeline.memory import exhaustion_explained
from pipeline.model import build_model, load_model, load_tokenizer, select_device

_LOGGED_STEPS = 1000
_CHECKPOINTS = 10
_ADVICE = "lower train.batch_tokens, or set train.gradient_checkpointing = true"


def run(settings: Settings, run_dir: RunDir, events: EventWriter) -> None:
    """Writes base/, model/, checkpoints/ and summary.json."""
    _require_trackers(settings)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = load_tokenizer(run_dir.tokenizer)
    model = build_model(settings, tokenizer)
    resolve_modules(model, settings.modules)  # a wrong name is said now, not after the training
    if not run_dir.base.exists():
        _save(model, tokenizer, run_dir.base)
    with exhaustion_explained(_ADVICE):
        _train(settings, run_dir, events, model, tokenizer)


def _train(
    settings: Settings,
    run_dir: RunDir,
    events: EventWriter,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    examples = TokenDataset.of_examples(run_dir.examples)
    validation = TokenDataset.of_examples(run_dir.validation)
    sampler = TokenBudgetSampler(examples.lengths, settings.train.batch_tokens, settings.run.seed)
    arguments = _arguments(settings, run_dir, len(sampler))
    trainer = TokenTrainer(model, arguments, examples, validation, sampler, events)
    checkpoint = _last_checkpoint(run_dir.checkpoints)
    base_loss = _base_loss(run_dir, trainer, checkpoint)

    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.monotonic() - started

    if trainer.diverged is not None:
        _restore_last_good(trainer, run_dir, events)
    elif len(validation) and trainer.validated_step != trainer.state.global_step:
        trainer.evaluate()
    _save(trainer.model, tokenizer, run_dir.model)
    write_json(run_dir.summary("train"), _summary(trainer, base_loss, seconds))


class TokenTrainer(Trainer):
    """transformers' Trainer on token-budget batches, telling its progress as events."""

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        examples: TokenDataset,
        validation: TokenDataset,
        sampler: TokenBudgetSampler,
        events: EventWriter,
    ) -> None:
        self.sampler = sampler
        self.events = events
        self.validation = validation
        self.validated_step = -1
        self.validation_loss: float | None = None
        self.train_loss: float | None = None
        self.diverged: str | None = None
        """Why training stopped early, if it did."""
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=examples,
            eval_dataset=validation,
            data_collator=pad_batch,
            callbacks=[_Narrator(self)],
        )

    def get_train_dataloader(self) -> DataLoader[TokenBatch]:
        """Batches of whole examples, other ones every epoch."""
        loader = DataLoader(self.train_dataset, batch_sampler=self.sampler, collate_fn=pad_batch)
        prepared: DataLoader[TokenBatch] = self.accelerator.prepare(loader)
        return prepared

    def evaluate(self, *_arguments: Any, **_options: Any) -> dict[str, float]:
        """Validation loss in nats a token, every token weighing the same."""
        batches = token_budget_batches(self.validation.lengths, 2 * self.sampler.budget)
        total, tokens = 0.0, 0
        self.model.eval()
        for batch in batches:
            loss, count = self._summed_loss(pad_batch([self.validation[i] for i in batch]))
            total, tokens = total + loss, tokens + count
        self.model.train()
        step = self.state.global_step
        self.validated_step, self.validation_loss = step, total / tokens
        self.events.metric("validation_loss", self.validation_loss, step, "nats/token")
        self.events.metric("perplexity", _perplexity(self.validation_loss) or math.inf, step)
        return {"eval_loss": self.validation_loss}

    @torch.no_grad()
    def _summed_loss(self, batch: TokenBatch) -> tuple[float, int]:
        inputs = self._prepare_inputs(batch)
        with self.compute_loss_context_manager():
            logits = self.model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).logits
        labels = inputs["labels"][:, 1:]
        loss = functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        return float(loss), int((labels != IGNORED).sum())


class _Narrator(TrainerCallback):
    """Tells steps and readings as events; stops a training whose loss is no longer a number."""

    def __init__(self, trainer: TokenTrainer) -> None:
        self._trainer = trainer
        self._clock = (0.0, 0)  # monotonic seconds, tokens seen then

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._clock = (time.monotonic(), int(state.num_input_tokens_seen))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._trainer.events.progress(state.global_step, state.max_steps, "steps")
        if state.global_step % int(args.save_steps) == 0:
            control.should_log = True  # no checkpoint without a look at the loss first

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        if "loss" not in logs:
            return
        events, step = self._trainer.events, state.global_step
        self._trainer.train_loss = logs["loss"]
        events.metric("loss", logs["loss"], step, "nats/token")
        events.metric("learning_rate", logs["learning_rate"], step)
        events.metric("grad_norm", logs["grad_norm"], step)
        events.metric("tokens_per_second", self._rate(int(state.num_input_tokens_seen)), step)
        if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
            self._trainer.diverged = f"the loss was {logs['loss']} at step {step}"
            control.should_training_stop = True
            control.should_save = control.should_evaluate = False

    def _rate(self, tokens: int) -> float:
        then, before = self._clock
        now = time.monotonic()
        self._clock = (now, tokens)
        return (tokens - before) / max(now - then, 1e-9)


def _arguments(settings: Settings, run_dir: RunDir, batches: int) -> TrainingArguments:
    train, device = settings.train, select_device(settings)
    steps = train.max_steps or math.ceil(train.epochs * batches / train.gradient_accumulation)
    tenth = math.ceil(steps / _CHECKPOINTS)
    bf16 = train.precision == "bfloat16" or (
        train.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    )
    return TrainingArguments(
        output_dir=str(run_dir.checkpoints),
        max_steps=steps,
        gradient_accumulation_steps=train.gradient_accumulation,
        learning_rate=train.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": train.min_learning_rate_ratio},
        warmup_steps=round(steps * train.warmup_fraction),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        bf16=bf16,
        gradient_checkpointing=train.gradient_checkpointing,
        use_cpu=device.type == "cpu",
        seed=settings.run.seed,
        eval_strategy="steps" if settings.data.validation_fraction else "no",
        eval_steps=train.validation_every or tenth,
        save_steps=train.checkpoint_every or tenth,
        save_total_limit=train.keep_checkpoints,
        logging_steps=max(1, steps // _LOGGED_STEPS),
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        dataloader_pin_memory=device.type == "cuda",
        report_to=list(train.trackers) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )


def _require_trackers(settings: Settings) -> None:
    """Raises SettingsError for a tracker that is not installed, before any work."""
    for tracker in settings.train.trackers:
        if importlib.util.find_spec(tracker) is None:
            raise SettingsError(
                f"train.trackers names {tracker}, which is not installed",
                f"`uv pip install {tracker}`, or leave it out",
            )


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; what a kill left half-written is removed."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step_of, reverse=True):
        if _is_whole(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    """The Trainer writes the state last; weights are whole if their header's sizes add up."""
    weights = list(checkpoint.glob("*.safetensors"))
    if read_json(checkpoint / "trainer_state.json") is None or not weights:
        return False
    try:
        for file in weights:
            with safe_open(file, "pt"):
                pass
    except SafetensorError:
        return False
    return True


def _base_loss(run_dir: RunDir, trainer: TokenTrainer, checkpoint: Path | None) -> float | None:
    """Validation loss before training; remembered, because a resumed model is past it."""
    record = run_dir.base / "validation.json"
    if checkpoint is None and len(trainer.validation):
        trainer.evaluate()
        write_json(record, {"loss": trainer.validation_loss})
    known = read_json(record)
    return known["loss"] if known else None


def _restore_last_good(trainer: TokenTrainer, run_dir: RunDir, events: EventWriter) -> None:
    """Goes back to the last checkpoint from before the loss ceased to be a number.

    Raises:
        ModelError: there is none.
    """
    checkpoint = _last_checkpoint(run_dir.checkpoints)
    advice = "lower train.learning_rate or raise train.warmup_fraction"
    if checkpoint is None:
        raise ModelError(f"training diverged: {trainer.diverged}", advice)
    events.warning(f"training diverged: {trainer.diverged}; {checkpoint.name} is kept. {advice}")
    trainer.model = load_model(checkpoint, trainer.args.device)
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    losses = [row["loss"] for row in state.log_history if "loss" in row]
    trainer.train_loss = losses[-1] if losses else None
    if len(trainer.validation):
        trainer.evaluate()


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes a transformers folder that is there whole or not at all."""
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _summary(trainer: TokenTrainer, base_loss: float | None, seconds: float) -> dict[str, Any]:
    tokens = int(trainer.state.num_input_tokens_seen)
    return {
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "steps": trainer.state.global_step,
        "epochs": round(trainer.state.epoch or 0.0, 3),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds) if seconds else None,
        "train_loss": trainer.train_loss if _finite(trainer.train_loss) else None,
        "validation_loss": trainer.validation_loss,
        "perplexity": _perplexity(trainer.validation_loss),
        "base_validation_loss": base_loss,
        "base_perplexity": _perplexity(base_loss),
        "stopped_early": trainer.diverged,
        "seconds": round(seconds, 1),
    }


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _perplexity(loss: float | None) -> float | None:
    """exp(loss), or None where it is no number that a file could hold."""
    return math.exp(loss) if loss is not None and loss < 700 else None
