"""Trackers: what a linear module computes from activations and output gradients in each pass.

Each replaces the tracker of Kronfluence that it is derived from, and falls back to it if a task
shares parameters, changes per-example gradients, or offloads activations to the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from kronfluence.arguments import ScoreArguments
from kronfluence.factor.config import FactorConfig
from kronfluence.module.tracker.base import BaseTracker
from kronfluence.module.tracker.factor import CovarianceTracker, LambdaTracker
from kronfluence.module.tracker.pairwise_score import PairwiseScoreTracker
from kronfluence.module.tracker.precondition import PreconditionTracker
from kronfluence.module.tracker.self_score import SelfScoreTracker, move_storage_to_device
from kronfluence.utils.constants import (
    ACCUMULATED_PRECONDITIONED_GRADIENT_NAME,
    ACTIVATION_COVARIANCE_MATRIX_NAME,
    ACTIVATION_EIGENVECTORS_NAME,
    GRADIENT_COVARIANCE_MATRIX_NAME,
    GRADIENT_EIGENVECTORS_NAME,
    LAMBDA_MATRIX_NAME,
    NUM_ACTIVATION_COVARIANCE_PROCESSED,
    NUM_GRADIENT_COVARIANCE_PROCESSED,
    NUM_LAMBDA_PROCESSED,
    PAIRWISE_SCORE_MATRIX_NAME,
    SELF_SCORE_VECTOR_NAME,
)
from kronfluence.utils.exceptions import FactorsNotFoundError
from torch import Tensor, nn

from pipeline.influence.accelerated.contractions import (
    accumulation_dtype,
    add_gram,
    add_squares,
    pairwise_from_blocks,
    squared_norms,
    weighted_squares,
)
from pipeline.influence.accelerated.shared_input import ActivationSum, SharedInput, as_tokens


class SharedCovarianceTracker(CovarianceTracker):  # type: ignore[misc]
    """Sums covariances, upper triangle only; modules with the same input share the activations'."""

    _sum: ActivationSum | None = None
    _inputs = 0

    def register_hooks(self) -> None:
        """Adds activations in the forward pass and output gradients in the backward pass."""
        if self.module.needs_original_tracker(self.module.factor_args):
            super().register_hooks()
            return

        @torch.no_grad()
        def forward_hook(_module: nn.Module, inputs: tuple[Tensor], outputs: Any) -> None:
            self._add_activations(inputs[0])
            # on the output tensor: a module's own backward hooks fail after in-place operations
            self.cached_hooks.append(outputs.register_hook(backward_hook))

        @torch.no_grad()
        def backward_hook(output_gradient: Tensor) -> None:
            self.cached_hooks.pop().remove()
            self._add_gradients(output_gradient)

        self.registered_hooks.append(self.module.register_forward_hook(forward_hook))

    def _add_activations(self, tensor: Tensor) -> None:
        shared_input = SharedInput.of(tensor)
        if id(self) in shared_input.added_by:
            return  # gradient checkpointing runs the forward pass a second time
        shared_input.added_by.add(id(self))
        self._inputs += 1
        # Kronfluence adds up the sums of distributed processes module by module, in place: a
        # shared one would be added up several times.
        sums = {} if dist.is_initialized() else shared_input.sums
        key = (self.module.has_bias, id(self.module.attention_mask))
        shared = sums.get(key)
        if self._sum is None and shared is not None:
            self._use(shared)
        if self._sum is None or self._sum is not shared:
            dtype = self.module.factor_args.activation_covariance_dtype
            rows, tokens = self.module.unpadded_activations(tensor, dtype)
            own = self._sum or self._use(ActivationSum.zeros(rows))
            own.add(rows, tokens)
            sums.setdefault(key, own)

    def _use(self, total: ActivationSum) -> ActivationSum:
        """Makes `total` the sum of this module, where Kronfluence saves it from."""
        self._sum = total
        self.module.storage[ACTIVATION_COVARIANCE_MATRIX_NAME] = total.matrix
        self.module.storage[NUM_ACTIVATION_COVARIANCE_PROCESSED] = total.tokens
        return total

    def _add_gradients(self, output_gradient: Tensor) -> None:
        dtype = self.module.factor_args.gradient_covariance_dtype
        rows, tokens = self.module.get_flattened_gradient(output_gradient.detach().to(dtype))
        storage = self.module.storage
        if storage[GRADIENT_COVARIANCE_MATRIX_NAME] is None:
            width = rows.shape[1]
            storage[GRADIENT_COVARIANCE_MATRIX_NAME] = rows.new_zeros(
                width, width, dtype=accumulation_dtype(dtype)
            )
            storage[NUM_GRADIENT_COVARIANCE_PROCESSED] = torch.zeros(
                1, dtype=torch.int64, device=rows.device
            )
        add_gram(storage[GRADIENT_COVARIANCE_MATRIX_NAME], rows, self.module.gradient_scale**2)
        storage[NUM_GRADIENT_COVARIANCE_PROCESSED].add_(tokens)

    def check_sharing(self) -> None:
        """Checks that the shared sum holds the inputs of this module and no others.

        Raises:
            RuntimeError: modules shared their input in one batch and not in another.
        """
        if self._sum is not None and self._sum.inputs != self._inputs:
            raise RuntimeError(
                f"{self.module.name} shares its input with other modules in some batches only; "
                "its covariance cannot be told from theirs"
            )

    def release_memory(self) -> None:
        """Drops the sums."""
        self._sum, self._inputs = None, 0
        super().release_memory()


class _GradientTracker(BaseTracker):  # type: ignore[misc]
    """Keeps a module's input until its output gradient arrives in the backward pass."""

    def _track(self, use: Callable[[SharedInput, Tensor], None]) -> None:
        """Registers hooks that call `use` with the input and the output gradients [B, T, O]."""

        @torch.no_grad()
        def forward_hook(_module: nn.Module, inputs: tuple[Tensor], outputs: Any) -> None:
            self.cached_activations = SharedInput.of(inputs[0])
            self.cached_hooks.append(outputs.register_hook(backward_hook))

        @torch.no_grad()
        def backward_hook(output_gradient: Tensor) -> None:
            self.cached_hooks.pop().remove()
            activations: SharedInput | None = self.cached_activations
            if activations is None:
                self._raise_cache_not_found_exception()
            else:
                self.clear_all_cache()
                use(activations, as_tokens(output_gradient.detach()))

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
        by_token = module.scores_per_token(shared.dimensions)
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
