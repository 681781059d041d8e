"""Trackers: what a linear module computes from per-example gradients in each pass.

Each replaces the tracker of Kronfluence that it is derived from, and falls back to it if a task
shares parameters, changes per-example gradients, or offloads activations to the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from kronfluence.arguments import ScoreArguments
from kronfluence.factor.config import FactorConfig
from kronfluence.module.tracker.base import BaseTracker
from kronfluence.module.tracker.factor import LambdaTracker
from kronfluence.module.tracker.pairwise_score import PairwiseScoreTracker
from kronfluence.module.tracker.precondition import PreconditionTracker
from kronfluence.module.tracker.self_score import SelfScoreTracker, move_storage_to_device
from kronfluence.utils.constants import (
    ACCUMULATED_PRECONDITIONED_GRADIENT_NAME,
    ACTIVATION_EIGENVECTORS_NAME,
    GRADIENT_EIGENVECTORS_NAME,
    LAMBDA_MATRIX_NAME,
    NUM_LAMBDA_PROCESSED,
    PAIRWISE_SCORE_MATRIX_NAME,
    SELF_SCORE_VECTOR_NAME,
)
from kronfluence.utils.exceptions import FactorsNotFoundError
from torch import Tensor, nn

from pipeline.contract.errors import ModelError
from pipeline.influence.accelerated.contractions import (
    accumulation_dtype,
    add_squares,
    pairwise_from_blocks,
    squared_norms,
    weighted_squares,
)
from pipeline.influence.accelerated.shared_input import SharedInput


class _GradientTracker(BaseTracker):  # type: ignore[misc]
    """Keeps a module's input until its output gradient arrives in the backward pass."""

    def _track(self, use: Callable[[SharedInput, Tensor], None]) -> None:
        """Registers hooks that call `use` with the input and the output gradients [B, T, O]."""

        @torch.no_grad()
        def forward_hook(_module: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
            # of two calls the first input would be lost, its gradient left out
            if self.cached_hooks or not outputs.requires_grad:
                behaviour = "is called more than once" if self.cached_hooks else "gives no gradient"
                raise ModelError(
                    f"{self.module.name} {behaviour} in a forward pass",
                    "leave it out: name the modules to trace in modules.names",
                )
            read = self.module.reader(*inputs[1:])
            self.cached_activations = SharedInput.of(inputs[0], read)
            self.cached_hooks.append(outputs.register_hook(partial(backward_hook, read)))

        @torch.no_grad()
        def backward_hook(read: Callable[[Tensor], Tensor], output_gradient: Tensor) -> None:
            self.cached_hooks.pop().remove()
            activations: SharedInput | None = self.cached_activations
            if activations is None:
                self._raise_cache_not_found_exception()
            else:
                self.clear_all_cache()
                use(activations, read(output_gradient.detach()))

        self.registered_hooks.append(self.module.register_forward_hook(forward_hook))


class AcceleratedLambdaTracker(_GradientTracker, LambdaTracker):  # type: ignore[misc]
    """Sums squared per-example gradients, in the eigenbasis if the strategy has one."""

    def register_hooks(self) -> None:
        """Adds each batch's squared gradients in the backward pass."""
        if self.module.needs_original_tracker(self.module.factor_args):
            super().register_hooks()
        else:
            self._track(self._add)

    def _add(self, shared: SharedInput, gradients: Tensor) -> None:
        args, storage = self.module.factor_args, self.module.storage
        if storage[LAMBDA_MATRIX_NAME] is None:
            self._allocate(gradients.device)
        blocks = self.module.rotated_blocks(
            shared, gradients, args.per_sample_gradient_dtype, args.lambda_dtype, self._rotates()
        )
        add_squares(storage[LAMBDA_MATRIX_NAME], blocks)
        storage[NUM_LAMBDA_PROCESSED].add_(len(gradients))

    def _rotates(self) -> bool:
        strategy = self.module.factor_args.strategy
        return bool(FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_lambda)

    def _allocate(self, device: torch.device) -> None:
        dtype, storage = self.module.factor_args.lambda_dtype, self.module.storage
        if self._rotates():
            if not self._eigendecomposition_results_exist():
                raise FactorsNotFoundError(
                    f"{self.module.name}: Λ in the eigenbasis needs the eigenvectors first"
                )
            for name in (ACTIVATION_EIGENVECTORS_NAME, GRADIENT_EIGENVECTORS_NAME):
                storage[name] = storage[name].to(dtype=dtype, device=device)
        storage[NUM_LAMBDA_PROCESSED] = torch.zeros(1, dtype=torch.int64)
        shape = self.module.gradient_shape
        storage[LAMBDA_MATRIX_NAME] = torch.zeros(
            shape, dtype=accumulation_dtype(dtype), device=device
        )


def _rotates(strategy: str) -> bool:
    """Whether the strategy preconditions in the eigenbasis."""
    # from the configuration, not from the storage: it may still hold eigenvectors of a strategy
    # that was scored before
    return bool(FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_precondition)


class AcceleratedSelfScoreTracker(_GradientTracker, SelfScoreTracker):  # type: ignore[misc]
    """Self-influence: Σ gradient² ÷ (curvature + damping) in the eigenbasis, never rotated back."""

    def register_hooks(self) -> None:
        """Scores each batch in the backward pass."""
        if self.module.needs_original_tracker(self.module.score_args):
            super().register_hooks()
        else:
            self._track(self._score)

    def _score(self, shared: SharedInput, gradients: Tensor) -> None:
        module, args, storage = self.module, self.module.score_args, self.module.storage
        if not self.storage_at_device:
            move_storage_to_device(storage=storage, target_device=gradients.device)
            self.storage_at_device: bool = True
        strategy = module.factor_args.strategy
        if strategy == "identity":
            activations = shared.activations(module.has_bias, args.per_sample_gradient_dtype)
            gradients = gradients.to(activations.dtype) * module.gradient_scale
            norms = squared_norms(gradients, activations)
            storage[SELF_SCORE_VECTOR_NAME] = module.to_score_dtype(norms)
            return
        blocks = module.rotated_blocks(
            shared,
            gradients,
            args.per_sample_gradient_dtype,
            args.precondition_dtype,
            _rotates(strategy),
        )
        inverse = storage[LAMBDA_MATRIX_NAME].reshape(module.gradient_shape)
        scores = weighted_squares(len(gradients), inverse, blocks)
        storage[SELF_SCORE_VECTOR_NAME] = module.to_score_dtype(scores)


class AcceleratedPreconditionTracker(_GradientTracker, PreconditionTracker):  # type: ignore[misc]
    """Preconditions prompts' gradients: divides them by the curvature, in the eigenbasis."""

    def register_hooks(self) -> None:
        """Preconditions each batch's gradients in the backward pass."""
        if self.module.needs_original_tracker(self.module.score_args):
            super().register_hooks()
        else:
            self._track(self._precondition)

    def _precondition(self, shared: SharedInput, gradients: Tensor) -> None:
        module, args, storage = self.module, self.module.score_args, self.module.storage
        rotates = _rotates(module.factor_args.strategy)
        preconditioned = gradients.new_empty(
            len(gradients), *module.gradient_shape, dtype=args.precondition_dtype
        )
        blocks = module.rotated_blocks(
            shared, gradients, args.per_sample_gradient_dtype, args.precondition_dtype, rotates
        )
        for examples, outputs, block in blocks:
            preconditioned[examples, outputs] = block
        if module.factor_args.strategy != "identity":
            # Kronfluence has replaced Λ by 1 ÷ (Λ + damping)
            preconditioned.mul_(storage[LAMBDA_MATRIX_NAME].to(preconditioned.device))
        if rotates and not _scores_in_eigenbasis(module):
            left, right = (
                storage[name].to(preconditioned.device)
                for name in (GRADIENT_EIGENVECTORS_NAME, ACTIVATION_EIGENVECTORS_NAME)
            )
            preconditioned = left @ (preconditioned @ right.t())
        self._process_preconditioned_gradient(preconditioned_gradient=preconditioned)


class AcceleratedPairwiseTracker(_GradientTracker, PairwiseScoreTracker):  # type: ignore[misc]
    """Multiplies prompts' gradients with examples', in the basis that the prompts' are in."""

    def register_hooks(self) -> None:
        """Scores each batch in the backward pass."""
        if self.module.needs_original_tracker(self.module.score_args):
            super().register_hooks()
        else:
            self._track(self._score)

    def _score(self, shared: SharedInput, gradients: Tensor) -> None:
        module, args, storage = self.module, self.module.score_args, self.module.storage
        prompts, input_dtype = storage[ACCUMULATED_PRECONDITIONED_GRADIENT_NAME], args.score_dtype
        by_token = bool(args.compute_per_token_scores)
        if not _scores_in_eigenbasis(module):
            activations = shared.activations(module.has_bias, input_dtype)
            gradients = gradients.to(input_dtype)
            scores = module.pairwise_product(prompts, gradients, activations, by_token)
            scores.mul_(module.gradient_scale)
        elif by_token or isinstance(prompts, list):
            sides = module.rotated_tokens(shared, gradients, input_dtype, args.precondition_dtype)
            rounded = (side.to(input_dtype) for side in sides)
            scores = module.pairwise_product(prompts, *rounded, by_token)
        else:
            blocks = module.rotated_blocks(
                shared, gradients, input_dtype, args.precondition_dtype, rotates=True
            )
            scores = pairwise_from_blocks(prompts, len(gradients), blocks)
        storage[PAIRWISE_SCORE_MATRIX_NAME] = module.to_score_dtype(scores)


def _scores_in_eigenbasis(module: Any) -> bool:
    """Whether prompts' and examples' gradients are multiplied in the eigenbasis."""
    # Kronfluence's own code for these options works in parameter space only
    args: ScoreArguments = module.score_args
    in_parameter_space = (
        args.aggregate_query_gradients
        or args.aggregate_train_gradients
        or args.use_measurement_for_self_influence
    )
    return bool(
        module.scores_in_eigenbasis
        and _rotates(module.factor_args.strategy)
        and not in_parameter_space
    )
