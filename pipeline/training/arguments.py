"""The settings as transformers' Trainer wants them."""

from __future__ import annotations

import importlib.util
import math

import torch
from transformers import TrainingArguments

from pipeline.contract.errors import SettingsError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.model import compute_dtype, select_device

_READINGS = 500
"""Points that a curve of a whole training gets: more could not be told apart on a screen."""
_TIMES = 10
"""How often a training is validated and saved unless the settings say otherwise."""


def require_trackers(settings: Settings) -> None:
    """Raises SettingsError for a tracker that is not installed, before any work."""
    for tracker in settings.train.trackers:
        if importlib.util.find_spec(tracker) is None:
            raise SettingsError(
                f"train.trackers names {tracker}, which is not installed",
                f"`uv pip install {tracker}`, or leave it out",
            )


def training_arguments(
    settings: Settings, run_dir: RunDir, batches: int, validates: bool, saves: bool = True
) -> TrainingArguments:
    """Arguments for a training with so many batches an epoch.

    One that `saves` nothing writes no checkpoints and reports to no tracker.
    """
    train, device = settings.train, select_device(settings)
    steps_an_epoch = math.ceil(batches / train.gradient_accumulation)
    steps = train.max_steps or math.ceil(train.epochs * steps_an_epoch)
    tenth = math.ceil(steps / _TIMES)
    arguments = TrainingArguments(
        output_dir=str(run_dir.checkpoints),
        run_name=run_dir.name,
        max_steps=steps,
        gradient_accumulation_steps=train.gradient_accumulation,
        learning_rate=train.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": train.min_learning_rate_ratio},
        warmup_steps=round(steps * train.warmup_fraction),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        bf16=compute_dtype(settings, device) is torch.bfloat16,
        activation_checkpointing=train.gradient_checkpointing,
        use_cpu=device.type == "cpu",
        seed=settings.run.seed,
        eval_strategy="steps" if validates else "no",
        eval_steps=train.validation_every or tenth,
        save_strategy="steps" if saves else "no",
        save_steps=train.checkpoint_every or tenth,
        save_total_limit=train.keep_checkpoints,
        logging_steps=math.ceil(steps / _READINGS),
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        dataloader_pin_memory=device.type == "cuda",
        report_to=(list(train.trackers) if saves else []) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # more would split every batch by DataParallel
    return arguments
