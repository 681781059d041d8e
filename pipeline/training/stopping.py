"""A stop that loses no step: the one at work is finished, and a checkpoint written.

SIGTERM asks for it, as `docker stop`, Slurm before its time limit, and the supervisor send it. A
second one ends the training at once, and so does a step or a checkpoint that takes longer than the
supervisor waits; then training goes on from the checkpoint before.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.contract.errors import CancelledError
from pipeline.training.checkpoints import complete_checkpoints

_PATIENCE_S = 25.0
"""How long a step and its checkpoint may take: less than the supervisor waits before it kills."""


@dataclass
class StopRequest:
    """Whether somebody has asked the training to stop."""

    made: bool = False


class ValidationPutOffError(Exception):
    """A validation was left for a stop; it is made up for when the training goes on."""


@contextmanager
def stopping(checkpoints: Path) -> Iterator[StopRequest]:
    """Context of a training that a `StopCallback` with this request can end after a step.

    Raises:
        CancelledError: at its end, where that was asked for.
        KeyboardInterrupt: it was asked for twice, or took too long; no checkpoint is half-written.
    """
    request = StopRequest()

    def hear(_signal: int, _frame: FrameType | None) -> None:
        request.made = True
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, hear),
        signal.SIGALRM: signal.signal(signal.SIGALRM, signal.default_int_handler),
    }
    try:
        yield request
    except KeyboardInterrupt:
        complete_checkpoints(checkpoints)  # removes what was cut short
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    if request.made:
        raise CancelledError("stopped on request")


class StopCallback(TrainerCallback):
    """Ends a training, with a checkpoint, after the step in which its processes hear of a stop."""

    def __init__(self, request: StopRequest) -> None:
        self._request = request

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leaves out the validation that may be due: it could take longer than there is time."""
        if self._is_made():
            control.should_log = control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leaves a validation.

        Raises:
            ValidationPutOffError: it follows a step, which is to be saved.
            KeyboardInterrupt: it is the one with which training begins: there is nothing to save.
        """
        if not self._is_made():
            return
        if not control.should_evaluate:
            raise KeyboardInterrupt
        control.should_save = control.should_training_stop = True
        raise ValidationPutOffError

    def _is_made(self) -> bool:
        """The same in all processes of the training at the same moment."""
        if not distributed.is_initialized():
            return self._request.made
        made = torch.tensor(int(self._request.made))
        distributed.all_reduce(made, distributed.ReduceOp.MAX)
        return bool(made)


def owes_validation(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether the validation of a checkpoint's step was put off for a stop."""
    step = state.global_step
    is_there = any(
        "eval_loss" in row and ("step", step) in row.items() for row in state.log_history
    )
    if args.eval_strategy == "no" or is_there:
        return False
    return step % int(args.eval_steps or 1) == 0 or step >= args.max_steps
