"""Translates the settings into the arguments of transformers' Trainer."""

from __future__ import annotations

import importlib.util
import math

import torch
from transformers import TrainingArguments

from pipeline.contract.errors import SettingsError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.model import compute_dtype, select_device
from pipeline.training.sharding import sharding_arguments

_CURVE_POINTS = 500
"""Logged points of a whole training: a screen has no room for more."""
_VALIDATIONS = 10
"""Validations and checkpoints of a whole training, if the settings give no interval."""


def require_trackers(settings: Settings) -> None:
    """Checks, before any work, that the settings' experiment trackers are installed.

    Raises:
        SettingsError: one is not.
    """
    for tracker in settings.train.trackers:
        if importlib.util.find_spec(tracker) is None:
            raise SettingsError(
                f"train.trackers names {tracker}, which is not installed",
                f"`uv pip install {tracker}`, or leave it out",
            )


def training_arguments(
    settings: Settings, run_dir: RunDir, batches: int, validates: bool, saves: bool = True
) -> TrainingArguments:
    """Arguments for a training of `batches` batches an epoch.

    `validates`: whether there is a validation set. Without `saves` no checkpoints are written and
    no experiment tracker is used.
    """
    train, device = settings.train, select_device(settings)
    steps_an_epoch = math.ceil(batches / train.gradient_accumulation)
    steps = train.max_steps or math.ceil(train.epochs * steps_an_epoch)
    interval = math.ceil(steps / _VALIDATIONS)
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
        use_cpu=device.type == "cpu",
        seed=settings.run.seed,
        eval_strategy="steps" if validates else "no",
        eval_steps=train.validation_every or interval,
        save_strategy="steps" if saves else "no",
        save_steps=train.checkpoint_every or interval,
        save_total_limit=train.keep_checkpoints,
        logging_steps=math.ceil(steps / _CURVE_POINTS),
        logging_nan_inf_filter=False,  # the default would hide that the loss has become NaN
        include_num_input_tokens_seen="non_padding",
        dataloader_pin_memory=device.type == "cuda",
        report_to=(list(train.trackers) if saves else []) or "none",
        disable_tqdm=True,  # progress events take its place
        remove_unused_columns=False,  # `pad_batch` makes exactly the model's inputs
        **sharding_arguments(train),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # DataParallel would split each batch over GPUs
    return arguments
