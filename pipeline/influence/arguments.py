"""Translates settings into Kronfluence's arguments, and derives batch sizes from memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.factor.config import FactorConfig

from pipeline.contract.settings.schema import FactorSettings, ScoreSettings

_MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""Largest automatic token budget: more tokens make a batch no faster, on a CPU slower."""
_FLOAT_BYTES = 4


def factor_arguments(settings: FactorSettings, strategy: str) -> FactorArguments:
    """The [factors] settings as Kronfluence's arguments for one strategy."""
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


def score_arguments(
    settings: ScoreSettings, per_module: bool, prompt_batches: int = 1
) -> ScoreArguments:
    """The [scores] settings as Kronfluence's arguments.

    `per_module` keeps the scores of each module separate instead of summing them;
    `prompt_batches` is how many batches of prompts share one pass over the training examples.
    """
    return ScoreArguments(
        damping_factor=None if settings.damping == "heuristic" else settings.damping,
        query_gradient_low_rank=_rank(settings) or None,
        compute_per_module_scores=per_module,
        query_gradient_accumulation_steps=prompt_batches,
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


def _rank(settings: ScoreSettings) -> int:
    assert settings.query_gradient_low_rank != "auto", "settings are settled first"
    return settings.query_gradient_low_rank


def _same_names(
    settings: FactorSettings | ScoreSettings, *names: str
) -> dict[str, Any]:  # Any: keyword arguments of several types
    """Values of the settings that Kronfluence knows by the same names, dtypes as torch's."""
    values = {name: getattr(settings, name) for name in names}
    return {
        name: torch_dtype(value) if name.endswith("_dtype") else value
        for name, value in values.items()
    }


def torch_dtype(name: str) -> torch.dtype | None:
    """The torch dtype that a setting names; None for "none". What is "auto" is settled before."""
    if name == "none":
        return None
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def tokens_per_batch(device: str, free: int, per_token: int, longest: int) -> int:
    """Token budget of a batch: what half of the free bytes holds, but at least `longest` tokens."""
    # half: `per_token` is an estimate, and running out of memory costs a retry
    return max(longest, min(free // 2 // per_token, _MOST_TOKENS[device]))


def gradient_bytes(shapes: Sequence[tuple[int, int]], rank: int) -> int:
    """Bytes of one prompt's gradient, compressed to `rank` (0 = uncompressed)."""
    # Kronfluence compresses no matrix whose own rank is not larger
    return _FLOAT_BYTES * sum(
        rank * (outputs + inputs) if 0 < rank < min(outputs, inputs) else outputs * inputs
        for outputs, inputs in shapes
    )


def covariance_bytes(shapes: Sequence[tuple[int, int]]) -> int:
    """Bytes of the activation and gradient covariances of modules with weights [O, I]."""
    return _FLOAT_BYTES * sum(outputs**2 + inputs**2 for outputs, inputs in shapes)


def curvature_bytes(shapes: Sequence[tuple[int, int]], strategy: str) -> int:
    """Bytes of the strategy's factors, eigenvectors and Λ, of modules with weights [O, I]."""
    config = FactorConfig.CONFIGS[strategy]
    bases = covariance_bytes(shapes) if config.requires_eigendecomposition else 0
    squares = sum(outputs * inputs for outputs, inputs in shapes)
    return bases + (_FLOAT_BYTES * squares if config.requires_lambda_matrices else 0)


def resident_bytes(shapes: Sequence[tuple[int, int]], strategy: str) -> int:
    """Bytes of the curvature that stay on a GPU while prompts are scored: the eigenvectors.

    Λ is there for one module at a time.
    """
    bases = FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_precondition
    largest = max(outputs * inputs for outputs, inputs in shapes)
    return (covariance_bytes(shapes) if bases else 0) + _FLOAT_BYTES * largest
