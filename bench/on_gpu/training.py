"""The section of `bench.gpu` on training: how much of the GPU's arithmetic a step uses."""

from __future__ import annotations

import shutil
import time
from typing import Any

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from bench.on_gpu.passes import memory_of
from bench.on_gpu.sections import Figures, Request
from bench.on_gpu.workload import TINYLLAMA, measured, measured_speed
from pipeline.batches import TokenBudgetSampler
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.planning.devices import CARDS
from pipeline.planning.work import by_phase
from pipeline.training.arguments import training_arguments
from pipeline.training.trainer import DivergenceWatch, TokenTrainer

GOAL = 0.5
"""Least share of the peak rate that the model's own operations are to reach."""
_STEPS = (3, 10)
"""To warm up, and to be timed; of a share of the work one and two."""
_BATCH_TOKENS = 16_384


class StepClock(DivergenceWatch):
    """Notes when each step's work is done."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """After the device has done it."""
        super().on_step_end(args, state, control)
        if args.device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def training(request: Request) -> Figures:
    """Steps of the stage's own Trainer on TinyLlama's shape, in the precision that it chooses.

    Utilisation is the operations of forward and backward, twice those of the forward, with
    attention's and without recomputation's, ÷ the time, ÷ the peak rate.
    """
    shape = TINYLLAMA.reduced(request.share)
    batch = max(shape.tokens, round(_BATCH_TOKENS * request.share))
    batch -= batch % shape.tokens
    warm, timed = _STEPS if request.share >= 1 else (1, 2)
    steps = warm + timed
    run = RunDir(request.folder / "training")
    shutil.rmtree(run.root, ignore_errors=True)
    run.root.mkdir(parents=True)
    settings = Settings.model_validate(
        {
            "run": {"device": request.device},
            "data": {"source": "demo", "max_tokens": max(8, shape.tokens)},
            "train": {"batch_tokens": batch, "max_steps": steps},
        }
    )
    rows = shape.rows()
    sampler = TokenBudgetSampler(rows.lengths, batch, settings.run.seed)
    arguments = training_arguments(settings, run, len(sampler), validates=False, saves=False)
    memory = memory_of(request, shape, settings)
    clock = StepClock()
    trainer = TokenTrainer(
        shape.model(request.device), arguments, rows, TokenDataset([]), sampler, clock
    )
    with measured(request.device) as taken:
        trainer.train()
    second = (clock.ends[-1] - clock.ends[warm - 1]) / timed
    operations = by_phase("train", memory)["training"].network / steps
    speed = measured_speed(request.device, request.share)
    rate = speed.bfloat16 if arguments.bf16 else speed.float32
    peak = _maker_peak(arguments.bf16) if request.device == "cuda" else None
    device = memory.peaks("train")[1] or memory.peaks("train")[0]
    return {
        "seconds_a_step": second,
        "tokens_a_second": batch / second,
        "operations_a_step": operations,
        "precision": "bfloat16" if arguments.bf16 else "float32",
        "utilisation": operations / second / peak if peak else None,
        "goal": GOAL,
        "share_of_measured_rate": operations / second / rate,
        "peak": taken.peak,
        "reserved": taken.reserved,
        "planned_peak": device.bytes,
        "batch_tokens": batch,
    }


def _maker_peak(halves: bool) -> float | None:
    """Operations a second as the card's maker states them; None where that is not known."""
    name = _plain(torch.cuda.get_device_name())
    card = next((card for known, card in CARDS.items() if _plain(known) in name), None)
    return 1e12 * (card.bfloat16 if halves else card.float32) if card else None


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))
