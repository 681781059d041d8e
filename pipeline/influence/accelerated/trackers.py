"""What a linear module does with its activations and output gradients in Kronfluence's passes.

Every tracker stands in for the one of Kronfluence that it is derived from, and hands over to it
where a task shares parameters, changes per-example gradients, or keeps activations on the host.
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
    accumulator,
    add_gram,
    add_squares,
    pairwise_pieces,
    squared_norms,
    weighted_squares,
)
from pipeline.influence.accelerated.shared_input import ActivationSum, SharedInput, as_tokens


class SharedCovarianceTracker(CovarianceTracker):  # type: ignore[misc]
    """Sums the covariances' upper halves; modules with one input share the activations' sum."""

    _sum: ActivationSum | None = None
    _inputs = 0

    def register_hooks(self) -> None:
        """Adds activations on the way forward, output gradients on the way back."""
        if self.module.as_kronfluence_does(self.module.factor_args):
            super().register_hooks()
            return

        @torch.no_grad()
        def forward_hook(_module: nn.Module, inputs: tuple[Tensor], outputs: Any) -> None:
            self._add_activations(inputs[0])
            self.cached_hooks.append(outputs.register_hook(backward_hook))

        @torch.no_grad()
        def backward_hook(output_gradient: Tensor) -> None:
            self.cached_hooks.pop().remove()
            self._add_gradients(output_gradient)

        self.registered_hooks.append(self.module.register_forward_hook(forward_hook))

    def _add_activations(self, tensor: Tensor) -> None:
        shared_input = SharedInput.of(tensor)
        if id(self) in shared_input.added_by:
            return  # gradient checkpointing computes it again
        shared_input.added_by.add(id(self))
        self._inputs += 1
        # Processes are summed up module by module, so there every module has its own sum.
        sums = {} if dist.is_initialized() else shared_input.sums
        key = (self.module.has_bias, id(self.module.attention_mask))
        shared = sums.get(key)
        if self._sum is None and shared is not None:
            self._keep(shared)
        if self._sum is None or self._sum is not shared:
            dtype = self.module.factor_args.activation_covariance_dtype
            rows, tokens = self.module.unpadded_activations(tensor, dtype)
            own = self._sum or self._keep(ActivationSum.of_width(rows))
            own.add(rows, tokens)
            sums.setdefault(key, own)

    def _keep(self, total: ActivationSum) -> ActivationSum:
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
                width, width, dtype=accumulator(dtype)
            )
            storage[NUM_GRADIENT_COVARIANCE_PROCESSED] = torch.zeros(
                1, dtype=torch.int64, device=rows.device
            )
        add_gram(storage[GRADIENT_COVARIANCE_MATRIX_NAME], rows, self.module.gradient_scale**2)
        storage[NUM_GRADIENT_COVARIANCE_PROCESSED].add_(tokens)

    def check_sharing(self) -> None:
        """A sum that holds inputs this module never saw would be wrong without a sign.

        Raises:
            RuntimeError: modules shared their input in one batch and not in another.
        """
        if self._sum is not None and self._sum.inputs != self._inputs:
            raise RuntimeError(
                f"{self.module.name} shares its input with other modules in some batches only; "
                "its covariance cannot be told from theirs"
            )

    def release_memory(self) -> None:
        """Forgets the sums."""
        self._sum, self._inputs = None, 0
        super().release_memory()


class _GradientTracker(BaseTracker):  # type: ignore[misc]
    """Keeps a pass's activations until their gradients come, then hands over both."""

    def _track(self, use: Callable[[SharedInput, Tensor], None]) -> None:
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


class OrderedLambdaTracker(_GradientTracker, LambdaTracker):  # type: ignore[misc]
    """Sums squared gradients in the eigenbasis, rotated before or after they are formed."""

    def register_hooks(self) -> None:
        """Adds every batch's squares on the way back."""
        if self.module.as_kronfluence_does(self.module.factor_args):
            super().register_hooks()
        else:
            self._track(self._add)

    def _add(self, shared: SharedInput, gradients: Tensor) -> None:
        args, storage = self.module.factor_args, self.module.storage
        if storage[LAMBDA_MATRIX_NAME] is None:
            self._start(gradients.device)
        pieces = self.module.rotated_pieces(
            shared, gradients, args.per_sample_gradient_dtype, args.lambda_dtype, self._rotates()
        )
        add_squares(storage[LAMBDA_MATRIX_NAME], pieces)
        storage[NUM_LAMBDA_PROCESSED].add_(len(gradients))

    def _rotates(self) -> bool:
        strategy = self.module.factor_args.strategy
        return bool(FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_lambda)

    def _start(self, device: torch.device) -> None:
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
        storage[LAMBDA_MATRIX_NAME] = torch.zeros(shape, dtype=accumulator(dtype), device=device)


def _rotates(strategy: str) -> bool:
    """Whether the strategy preconditions in the eigenbasis.

    The storage does not tell: a strategy that was scored before may have left its eigenvectors.
    """
    return bool(FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_precondition)


class OrderedSelfScoreTracker(_GradientTracker, SelfScoreTracker):  # type: ignore[misc]
    """Self-influence without rotating back: Σ gradient² ÷ curvature in the eigenbasis."""

    def register_hooks(self) -> None:
        """Scores every batch on the way back."""
        if self.module.as_kronfluence_does(self.module.score_args):
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
            storage[SELF_SCORE_VECTOR_NAME] = module.finished(squared_norms(gradients, activations))
            return
        pieces = module.rotated_pieces(
            shared,
            gradients,
            args.per_sample_gradient_dtype,
            args.precondition_dtype,
            _rotates(strategy),
        )
        inverse = storage[LAMBDA_MATRIX_NAME].reshape(module.gradient_shape)
        found = weighted_squares(len(gradients), inverse, pieces)
        storage[SELF_SCORE_VECTOR_NAME] = module.finished(found)


class OrderedPreconditionTracker(_GradientTracker, PreconditionTracker):  # type: ignore[misc]
    """Prompts' gradients, rotated before or after they are formed, divided by the curvature."""

    def register_hooks(self) -> None:
        """Preconditions every batch on the way back."""
        if self.module.as_kronfluence_does(self.module.score_args):
            super().register_hooks()
        else:
            self._track(self._precondition)

    def _precondition(self, shared: SharedInput, gradients: Tensor) -> None:
        module, args, storage = self.module, self.module.score_args, self.module.storage
        rotates = _rotates(module.factor_args.strategy)
        found = gradients.new_empty(
            len(gradients), *module.gradient_shape, dtype=args.precondition_dtype
        )
        pieces = module.rotated_pieces(
            shared, gradients, args.per_sample_gradient_dtype, args.precondition_dtype, rotates
        )
        for examples, outputs, piece in pieces:
            found[examples, outputs] = piece
        if module.factor_args.strategy != "identity":
            found.mul_(storage[LAMBDA_MATRIX_NAME].to(found.device))
        if rotates and not _meets_in_eigenbasis(module):
            left, right = (
                storage[name].to(found.device)
                for name in (GRADIENT_EIGENVECTORS_NAME, ACTIVATION_EIGENVECTORS_NAME)
            )
            found = left @ (found @ right.t())
        self._process_preconditioned_gradient(preconditioned_gradient=found)


class OrderedPairwiseTracker(_GradientTracker, PairwiseScoreTracker):  # type: ignore[misc]
    """Prompts' gradients times the examples', in the basis that the prompts were left in."""

    def register_hooks(self) -> None:
        """Scores every batch on the way back."""
        if self.module.as_kronfluence_does(self.module.score_args):
            super().register_hooks()
        else:
            self._track(self._score)

    def _score(self, shared: SharedInput, gradients: Tensor) -> None:
        module, args, storage = self.module, self.module.score_args, self.module.storage
        prompts, rounded = storage[ACCUMULATED_PRECONDITIONED_GRADIENT_NAME], args.score_dtype
        by_token = module.scores_tokens(shared.dimensions)
        if not _meets_in_eigenbasis(module):
            activations = shared.activations(module.has_bias, rounded)
            found = module.product(prompts, gradients.to(rounded), activations, by_token)
            found.mul_(module.gradient_scale)
        elif by_token or isinstance(prompts, list):
            sides = module.rotated_tokens(shared, gradients, rounded, args.precondition_dtype)
            found = module.product(prompts, *(side.to(rounded) for side in sides), by_token)
        else:
            pieces = module.rotated_pieces(
                shared, gradients, rounded, args.precondition_dtype, rotates=True
            )
            found = pairwise_pieces(prompts, len(gradients), pieces)
        storage[PAIRWISE_SCORE_MATRIX_NAME] = module.finished(found)


def _meets_in_eigenbasis(module: Any) -> bool:
    """Whether prompts and examples meet there; Kronfluence's own ways of bringing together
    gradients know of no basis but the weights' own."""
    args: ScoreArguments = module.score_args
    other_ways = (
        args.aggregate_query_gradients
        or args.aggregate_train_gradients
        or args.use_measurement_for_self_influence
    )
    return bool(
        module.rotates_examples and _rotates(module.factor_args.strategy) and not other_ways
    )
