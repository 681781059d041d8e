"""Translates settings into Kronfluence's arguments, and derives batch sizes from memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.factor.config import FactorConfig

from pipeline.contract.settings.schema import FactorSettings, ScoreSettings

_PROMPT_BYTES = 2**31
"""Most memory for the prompts' gradients."""
_MOST_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""Largest automatic token budget: more tokens make a batch no faster, on a CPU slower."""
_MOST_PROMPTS = 32
"""Largest automatic number of prompts in a batch."""
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
        query_gradient_low_rank=settings.query_gradient_low_rank or None,
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
    """The torch dtype that a setting names; None for "none"."""
    if name == "none":
        return None
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def tokens_per_batch(device: str, free: int, per_token: int, longest: int) -> int:
    """Token budget of a batch: what half of the free bytes holds, but at least `longest` tokens."""
    # half: `per_token` is an estimate, and running out of memory costs a retry
    return max(longest, min(free // 2 // per_token, _MOST_TOKENS[device]))


def prompts_per_batch(wanted: int, prompts: int, tracked_weights: int) -> int:
    """Number of prompts in a batch; each one's gradient has the size of all tracked weights."""
    if wanted:
        return min(wanted, prompts)
    by_memory = _PROMPT_BYTES // (_FLOAT_BYTES * tracked_weights)
    return max(1, min(by_memory, _MOST_PROMPTS, prompts))


def prompt_batches_per_pass(
    wanted: int, prompts: int, at_once: int, shapes: Sequence[tuple[int, int]], rank: int
) -> int:
    """Number of prompt batches whose gradients are kept during one pass over the examples.

    `at_once`: prompts in a batch; `shapes`: [O, I] of the tracked modules; `rank`: of the
    compressed gradients, 0 = uncompressed.
    """
    # from a fixed limit, not from free memory: Kronfluence resumes a pass only under the
    # arguments that it began with
    if wanted:
        return wanted
    by_memory = _PROMPT_BYTES // (gradient_bytes(shapes, rank) * at_once)
    return max(1, min(by_memory, math.ceil(prompts / at_once)))


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
