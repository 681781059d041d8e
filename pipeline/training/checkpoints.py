"""Which checkpoint to go on from."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import TrainerState

from pipeline.contract.files import read_json

_STATE = "trainer_state.json"


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints, newest first; those that a kill left half-written are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=_step_of, reverse=True)
    for torn in (checkpoint for checkpoint in found if not _is_whole(checkpoint)):
        shutil.rmtree(torn)
    return [checkpoint for checkpoint in found if checkpoint.exists()]


def read_state(checkpoint: Path) -> TrainerState:
    """Step, epoch, tokens and all readings up to the checkpoint."""
    state: TrainerState = TrainerState.load_from_json(str(checkpoint / _STATE))
    return state


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    """The Trainer writes the state last; weights are whole if their header's sizes add up."""
    weights = list(checkpoint.glob("*.safetensors"))
    if read_json(checkpoint / _STATE) is None or not weights:
        return False
    try:
        for file in weights:
            with safe_open(file, "pt"):
                pass
    except SafetensorError:
        return False
    return True
