"""Scores of every method, as the scores stage gathers them.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.contract.errors import ModelError
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.score_file import ScoreMetadata, write_scores
from pipeline.contract.results.scores import default_method
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset


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


def save_scores(
    settings: Settings,
    run: RunDir,
    modules: list[str],
    results: Results,
    contrasted: tuple[int, ...],
) -> None:
    """Writes scores.safetensors."""
    precision = settings.scores.model_dump(
        include={"amp_dtype", "per_sample_gradient_dtype", "precondition_dtype", "score_dtype"}
    )
    metadata = ScoreMetadata(
        prompts=tuple(prompt.id for prompt in results.prompts),
        methods=tuple(results.methods),
        default_method=default_method(settings),
        layers=tuple(results.layers),
        strategy=results.strategy,
        damping=settings.scores.damping,
        fisher=settings.factors.fisher,
        precision=precision,
        modules=tuple(modules),
        examples=results.table.num_rows,
        contrasted=contrasted,
    )
    write_scores(run, metadata, results.methods, results.layers, results.self_influence)
