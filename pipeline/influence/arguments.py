"""Settings in Kronfluence's words, and how much fits a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.factor.config import FactorConfig

from pipeline.contract.settings.schema import FactorSettings, ScoreSettings

_PROMPT_BYTES = 2**31
"""Memory that the prompts' gradients may take."""
_MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""More of them make a batch no faster; on a CPU, slower."""
_MOST_PROMPTS = 32
_FLOAT_BYTES = 4


def factor_arguments(settings: FactorSettings, strategy: str) -> FactorArguments:
    """The [factors] settings for one strategy."""
    return FactorArguments(
        strategy=strategy,
        use_empirical_fisher=settings.fisher == "empirical",
        covariance_max_examples=settings.covariance_max_examples or None,
        lambda_max_examples=settings.lambda_max_examples or None,
        **_same_names(
            settings,
            "covariance_data_partitions",
            "covariance_module_partitions",
            "lambda_data_partitions",
            "lambda_module_partitions",
            "use_iterative_lambda_aggregation",
            "offload_activations_to_cpu",
            "amp_dtype",
            "activation_covariance_dtype",
            "gradient_covariance_dtype",
            "eigendecomposition_dtype",
            "per_sample_gradient_dtype",
            "lambda_dtype",
        ),
    )


def score_arguments(settings: ScoreSettings, per_module: bool, gathered: int = 1) -> ScoreArguments:
    """The [scores] settings; `per_module` keeps every module's scores apart, `gathered` batches
    of prompts share a pass over the training examples."""
    return ScoreArguments(
        damping_factor=None if settings.damping == "heuristic" else settings.damping,
        query_gradient_low_rank=settings.query_gradient_low_rank or None,
        compute_per_module_scores=per_module,
        query_gradient_accumulation_steps=gathered,
        **_same_names(
            settings,
            "data_partitions",
            "module_partitions",
            "use_full_svd",
            "offload_activations_to_cpu",
            "amp_dtype",
            "query_gradient_svd_dtype",
            "per_sample_gradient_dtype",
            "precondition_dtype",
            "score_dtype",
        ),
    )


def _same_names(settings: FactorSettings | ScoreSettings, *names: str) -> dict[str, Any]:
    """The settings that Kronfluence calls the same, with dtypes as torch's own."""
    values = {name: getattr(settings, name) for name in names}
    return {
        name: torch_dtype(value) if name.endswith("_dtype") else value
        for name, value in values.items()
    }


def torch_dtype(name: str) -> torch.dtype | None:
    """The dtype of such a name in the settings; None for "none"."""
    if name == "none":
        return None
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def tokens_per_batch(device: str, free: int, per_token: int, longest: int) -> int:
    """Tokens a batch, padding counted: what half of the free bytes holds, one example at least."""
    return max(longest, min(free // 2 // per_token, _MOST_TOKENS[device]))


def prompts_per_batch(wanted: int, prompts: int, tracked_weights: int) -> int:
    """Prompts whose gradients, each as large as all tracked modules, are held at once."""
    if wanted:
        return min(wanted, prompts)
    by_memory = _PROMPT_BYTES // (_FLOAT_BYTES * tracked_weights)
    return max(1, min(by_memory, _MOST_PROMPTS, prompts))


def prompt_batches_per_pass(
    wanted: int, prompts: int, at_once: int, shapes: Sequence[tuple[int, int]], rank: int
) -> int:
    """Batches of prompts whose gradients, compressed to `rank` if that is not 0, stay in memory.

    `shapes` [O, I] of the tracked modules. The same in every attempt, whatever memory is free:
    Kronfluence goes on with a pass only under the arguments that it began with.
    """
    if wanted:
        return wanted
    by_memory = _PROMPT_BYTES // (kept_bytes(shapes, rank) * at_once)
    return max(1, min(by_memory, math.ceil(prompts / at_once)))


def kept_bytes(shapes: Sequence[tuple[int, int]], rank: int) -> int:
    """Bytes of a prompt's gradient, compressed to `rank` if that is not 0."""
    return _FLOAT_BYTES * sum(
        rank * (outputs + inputs) if 0 < rank < min(outputs, inputs) else outputs * inputs
        for outputs, inputs in shapes
    )


def covariance_bytes(shapes: Sequence[tuple[int, int]]) -> int:
    """Bytes of both covariances of modules [O, I]."""
    return _FLOAT_BYTES * sum(outputs**2 + inputs**2 for outputs, inputs in shapes)


def curvature_bytes(shapes: Sequence[tuple[int, int]], strategy: str) -> int:
    """Bytes of the factors that a pass with this strategy holds of modules [O, I]."""
    config = FactorConfig.CONFIGS[strategy]
    bases = covariance_bytes(shapes) if config.requires_eigendecomposition else 0
    squares = sum(outputs * inputs for outputs, inputs in shapes)
    return bases + (_FLOAT_BYTES * squares if config.requires_lambda_matrices else 0)
