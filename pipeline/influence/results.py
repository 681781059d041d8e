"""Scores of every method, as the scores stage gathers them and as its file keeps them.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from pipeline.contract.errors import ModelError
from pipeline.contract.files import replacing
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.rankings import Scores

SIGN = "positive = proponent: more of it lowers the prompt's loss"
SCALE = (
    "prompt gradient · (curvature + damping)⁻¹ · example gradient, of losses summed over tokens "
    "in nats, not divided by the number of examples"
)


@dataclass
class Results:
    """What has been scored. `methods` in the order in which they are shown."""

    prompts: list[Prompt]
    table: pa.Table
    examples: TokenDataset
    strategy: str
    """The default one."""
    methods: dict[str, Scores] = field(default_factory=dict)
    self_influence: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    layers: dict[int, Scores] = field(default_factory=dict)


def default_method(settings: Settings) -> str:
    """The method that is shown first."""
    strategy = settings.factors.strategies[0]
    return normalized_name(strategy) if settings.scores.normalize else strategy


def normalized_name(strategy: str) -> str:
    """What a strategy's scores are called once divided by √self-influence."""
    return "gradient_cosine" if strategy == "identity" else f"{strategy}_normalized"


def finite_or_missing(name: str, scores: Tensor, warn: Callable[[str], None]) -> Scores:
    """The scores with NaN for whatever is not a finite number.

    Raises:
        ModelError: none of them is one.
    """
    finite = torch.isfinite(scores)
    if not finite.any():
        hint = "more damping (scores.damping) and float32 in [factors] and [scores] avoid overflow"
        raise ModelError(f"{name}: not one score is a finite number", hint)
    if missing := int((~finite).sum()):
        warn(f"{name}: {missing} of {scores.numel()} scores are not finite: left out")
    found: Scores = torch.where(finite, scores, torch.nan).numpy()
    return found


def save_scores(settings: Settings, path: Path, modules: list[str], results: Results) -> None:
    """Writes scores.safetensors; how the scores came about is in its metadata."""
    tensors = dict(results.methods)
    tensors |= {f"self_{name}": values for name, values in results.self_influence.items()}
    if results.layers:
        tensors["layers"] = np.stack(list(results.layers.values()), axis=1)
    precision = settings.scores.model_dump(
        include={"amp_dtype", "per_sample_gradient_dtype", "precondition_dtype", "score_dtype"}
    )
    metadata = {
        "prompts": json.dumps([prompt.id for prompt in results.prompts]),
        "methods": json.dumps(list(results.methods)),
        "default_method": default_method(settings),
        "layers": json.dumps(list(results.layers)),
        "strategy": results.strategy,
        "damping": json.dumps(settings.scores.damping),
        "fisher": settings.factors.fisher,
        "precision": json.dumps(precision),
        "modules": json.dumps(modules),
        "examples": str(results.table.num_rows),
        "sign": SIGN,
        "scale": SCALE,
    }
    with replacing(path) as temporary:
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, temporary, metadata)
