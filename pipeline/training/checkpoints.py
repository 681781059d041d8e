"""Finds the checkpoint from which a training resumes."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open
from transformers import TrainerState

from pipeline.contract.files import read_json

_STATE = "trainer_state.json"
_PICKLED = (".pt", ".pth", ".bin")
"""Files that torch.save writes: ZIP archives, whose directory stands at the end."""


def complete_checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, newest first; deletes those that a killed process left incomplete."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=_step_of, reverse=True)
    for incomplete in (checkpoint for checkpoint in checkpoints if not _is_complete(checkpoint)):
        shutil.rmtree(incomplete)
    return [checkpoint for checkpoint in checkpoints if checkpoint.exists()]


def read_state(checkpoint: Path) -> TrainerState:
    """The Trainer's state at the checkpoint: step, epoch, tokens seen and all logged values."""
    state: TrainerState = TrainerState.load_from_json(str(checkpoint / _STATE))
    return state


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_complete(checkpoint: Path) -> bool:
    """Whether the state, which the Trainer writes last, and all files of tensors are whole."""
    weights = list(checkpoint.glob("*.safetensors"))
    if read_json(checkpoint / _STATE) is None or not weights:
        return False
    pickled = [path for path in checkpoint.iterdir() if path.suffix in _PICKLED]
    if not all(map(is_zipfile, pickled)):  # after a loss of power they may be cut short
        return False
    try:
        for file in weights:
            with safe_open(file, "pt"):  # compares the header with the file's size
                pass
    except SafetensorError:
        return False
    return True
