"""Lets Kronfluence write files that appear whole or not at all, and that outlive a loss of power.

Its own are left to the system, and it takes every file that it finds for finished: after a loss of
power it would go on from files that are cut short, or lack those that others were made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from kronfluence.computer import computer
from kronfluence.factor import covariance, eigen
from kronfluence.score import pairwise
from kronfluence.score import self as self_scores
from safetensors.torch import save_file
from torch import Tensor

from pipeline.contract.files import replacing, write_json

Place = Callable[[Path], Path]
"""Where a file is written that Kronfluence would write at a path."""

_MODULES = {
    "save_file": (covariance, eigen, pairwise, self_scores),
    "save_json": (computer,),
}
"""Names of functions that write → the modules of Kronfluence that have imported them."""


@contextmanager
def durable_files(place: Place | None = None) -> Iterator[None]:
    """Context of Kronfluence's computations; without `place` it writes where it wants to."""
    place = place or Path
    ours = {"save_file": partial(_save_tensors, place), "save_json": partial(_save_json, place)}
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
    place: Place,
    tensors: dict[str, Tensor],
    filename: Path,
    metadata: dict[str, str] | None = None,
) -> None:
    with replacing(place(Path(filename))) as temporary:
        save_file(tensors, temporary, metadata)


def _save_json(place: Place, obj: Any, path: Path) -> None:
    write_json(place(Path(path)), obj)
