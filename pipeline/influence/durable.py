"""Lets Kronfluence write files that appear whole or not at all, and that outlive a loss of power.

Its own are left to the system, and it takes every file that it finds for finished: after a loss of
power it would go on from files that are cut short, or lack those that others were made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kronfluence.computer import computer
from kronfluence.factor import covariance, eigen
from kronfluence.score import pairwise
from kronfluence.score import self as self_scores
from safetensors.torch import save_file
from torch import Tensor

from pipeline.contract.files import replacing, write_json

_MODULES = {
    "save_file": (covariance, eigen, pairwise, self_scores),
    "save_json": (computer,),
}
"""Names of functions that write → the modules of Kronfluence that have imported them."""


@contextmanager
def durable_files() -> Iterator[None]:
    """Context of Kronfluence's computations."""
    ours = {"save_file": _save_tensors, "save_json": _save_json}
    places = [(module, name) for name, modules in _MODULES.items() for module in modules]
    theirs = [(module, name, getattr(module, name)) for module, name in places]
    for module, name in places:
        setattr(module, name, ours[name])
    try:
        yield
    finally:
        for module, name, function in theirs:
            setattr(module, name, function)


def _save_tensors(
    tensors: dict[str, Tensor], filename: Path, metadata: dict[str, str] | None = None
) -> None:
    with replacing(Path(filename)) as temporary:
        save_file(tensors, temporary, metadata)


def _save_json(obj: Any, path: Path) -> None:
    write_json(Path(path), obj)
