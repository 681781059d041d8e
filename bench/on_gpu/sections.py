"""All sections of `bench.gpu`, in the order in which they are run; each imports what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

PRECISIONS = ("bfloat16", "tf32", "float32")
PASSES = ("covariance", "lambda", "scores", "scores-rank-64")
SHAPES = ("qwen-0.5b", "qwen-1.5b")
PLAIN, BERGSON, DATTRI = "kronfluence-1.0.1", "bergson-2.5.1", "dattri-llm-0.1.0"
OURS, THEIR_WAY, AGREEMENT = "ours", "ours-without-last-tokens", "agreement"
METHODS = (OURS, PLAIN, BERGSON, DATTRI, THEIR_WAY)

_PASS_OF = {f"tinyllama-{precision}-{name}": (precision, name)
            for precision, name in product(PRECISIONS, PASSES)}  # fmt: skip
_METHOD_OF = {f"{shape}-{method}": (shape, method)
              for shape, method in product(SHAPES, (*METHODS, AGREEMENT))}  # fmt: skip
NAMES = (
    "tests",
    "panels",
    "demo",
    "training",
    *_PASS_OF,
    "tinyllama-eigendecomposition",
    *_METHOD_OF,
)
"""A pass comes after those whose results it goes on from."""


class Skipped(Exception):
    """There is nothing to measure here; its text says why."""


@dataclass(frozen=True)
class Request:
    """On what, and how much of it."""

    device: str
    """ "cpu" or "cuda"."""
    share: float
    folder: Path
    """Kept between the sections."""


Figures = dict[str, Any]
Section = Callable[[Request], Figures]


def section(name: str) -> Section:
    """What measures the section of this name."""
    if name in ("tests", "panels", "demo"):
        from bench.on_gpu import whole

        return {"tests": whole.tests, "panels": whole.panels, "demo": whole.demo}[name]
    if name == "training":
        from bench.on_gpu.training import training

        return training
    if name in _METHOD_OF:
        from bench.on_gpu import peers

        return peers.section(*_METHOD_OF[name])
    from bench.on_gpu import passes

    if name in _PASS_OF:
        return passes.section(*_PASS_OF[name])
    return passes.eigendecomposition
