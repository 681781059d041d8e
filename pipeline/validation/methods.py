"""The rankings that are validated: those of the scores stage, and other tools' from their files.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pipeline.contract.errors import SettingsError
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run.run_dir import RunDir


def own_methods(run: RunDir) -> tuple[dict[str, Scores], str]:
    """Every method's scores [Q, N] under its name, and the name of the run's own."""
    file = ScoreFile(run)
    methods = {name: file.method(name) for name in file.metadata.methods}
    return methods, file.metadata.default_method


def outside_methods(files: Sequence[str], shape: tuple[int, ...]) -> dict[str, Scores]:
    """Other tools' scores [Q, N] under the names of their files.

    Raises:
        SettingsError: a file that cannot be read, or holds no such tensor.
    """
    return {Path(file).stem: _outside(Path(file), shape) for file in files}


def _outside(path: Path, shape: tuple[int, ...]) -> Scores:
    try:
        tensors = dict(_tensors(path))
    except (OSError, ValueError, SafetensorError) as error:
        raise SettingsError(f"validation.outside: {path} cannot be read: {error}") from error
    fitting = [tensor for tensor in tensors.values() if tensor.shape == shape]
    if len(fitting) != 1:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise SettingsError(
            f"validation.outside: {path} must hold one tensor of shape {list(shape)} (prompts, "
            f"examples); it holds {shapes}"
        )
    return fitting[0].astype(np.float32)


def _tensors(path: Path) -> Iterator[tuple[str, NDArray[np.floating]]]:
    if path.suffix == ".npy":
        yield path.stem, np.load(path, allow_pickle=False)
    else:
        yield from load_file(path).items()
