"""Kronfluence's tracked linear module with the trackers and contractions of this package.

Importing this file registers the class for `nn.Linear`: Kronfluence wraps linear modules in it
from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.module.linear import TrackedLinear
from kronfluence.module.tracked_module import ModuleMode
from kronfluence.utils.constants import (
    ACTIVATION_COVARIANCE_MATRIX_NAME,
    ACTIVATION_EIGENVECTORS_NAME,
    GRADIENT_COVARIANCE_MATRIX_NAME,
    GRADIENT_EIGENVECTORS_NAME,
    LAMBDA_MATRIX_NAME,
)
from torch import Tensor, nn
from torch.nn.functional import pad

from pipeline.influence.accelerated.contractions import (
    gradient_blocks,
    pairwise,
    pairwise_low_rank,
    pairwise_tokens,
    rotate_first,
    symmetrize,
)
from pipeline.influence.accelerated.covariance import SharedCovarianceTracker
from pipeline.influence.accelerated.shared_input import SharedInput, as_tokens
from pipeline.influence.accelerated.trackers import (
    AcceleratedLambdaTracker,
    AcceleratedPairwiseTracker,
    AcceleratedPreconditionTracker,
    AcceleratedSelfScoreTracker,
)

_COVARIANCES = {
    ACTIVATION_COVARIANCE_MATRIX_NAME: "activation_covariance_dtype",
    GRADIENT_COVARIANCE_MATRIX_NAME: "gradient_covariance_dtype",
}


class AcceleratedLinear(TrackedLinear, module_type=nn.Linear):  # type: ignore[misc, call-arg]
    """`TrackedLinear` that computes the same results with less arithmetic."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions: int | None = None
        """Length to which per-token scores are padded with zeros; None = no padding."""
        self.keeps_float32 = False
        """Whether scores keep the dtype they are summed in, not score_dtype."""
        self.scores_in_eigenbasis = False
        """Whether prompts' gradients stay in the eigenbasis and examples' are rotated into it."""
        # in place of the trackers that `TrackedLinear` has made for these passes
        self._trackers |= {
            ModuleMode.COVARIANCE: SharedCovarianceTracker(self),
            ModuleMode.LAMBDA: AcceleratedLambdaTracker(self),
            ModuleMode.PRECONDITION_GRADIENT: AcceleratedPreconditionTracker(self),
            ModuleMode.PAIRWISE_SCORE: AcceleratedPairwiseTracker(self),
            ModuleMode.SELF_SCORE: AcceleratedSelfScoreTracker(self),
        }

    @property
    def has_bias(self) -> bool:
        """Whether the module has a bias: its activations then get a 1 appended."""
        return self.original_module.bias is not None

    @property
    def gradient_shape(self) -> tuple[int, int]:
        """[O, I] of a per-example gradient; a bias counts as one more input."""
        return self.out_features, self.in_features + self.has_bias

    def needs_original_tracker(self, args: FactorArguments | ScoreArguments) -> bool:
        """Whether the task uses a feature that only Kronfluence's original trackers support."""
        return (
            self.factor_args.has_shared_parameters
            or self.per_sample_gradient_process_fnc is not None
            or args.offload_activations_to_cpu
        )

    def unpadded_activations(
        self, tensor: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor | int]:
        """Activations [n, I] of the batch's n tokens without padding, and n."""
        rows = as_tokens(tensor.detach()).to(dtype).flatten(0, 1)
        mask = self.attention_mask
        # padding is dropped, not zeroed as Kronfluence does: the same sum of fewer rows
        if mask is not None and mask.numel() == len(rows) and not mask.all():
            rows = rows[mask.flatten().bool()]
        if self.has_bias:
            rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        return rows, len(rows)

    def rotated_blocks(
        self,
        shared: SharedInput,
        gradients: Tensor,
        input_dtype: torch.dtype,
        dtype: torch.dtype,
        rotates: bool,
    ) -> Iterator[tuple[slice, slice, Tensor]]:
        """Blocks of per-example gradients, see `gradient_blocks`; in the eigenbasis if `rotates`.

        Activations and output `gradients` [B, T, O] are rounded to `input_dtype`, as Kronfluence
        does; all products are computed in `dtype`. Each side is rotated where it is cheaper: per
        token, or after the gradient is formed.
        """
        gradients = self._scaled(gradients, input_dtype, dtype)
        if not rotates:
            activations = shared.activations(self.has_bias, input_dtype).to(dtype)
            return gradient_blocks(gradients, activations)
        left: Tensor | None = self._eigenvectors(GRADIENT_EIGENVECTORS_NAME, gradients.device)
        right: Tensor | None = None
        tokens, (outputs, inputs) = gradients.shape[1], self.gradient_shape
        if rotate_first(tokens, inputs):  # per token, instead of the finished gradient
            assert left is not None
            gradients, left = gradients @ left, None
        if rotate_first(tokens, outputs):
            activations = self._rotated_activations(shared, input_dtype)
        else:
            activations = shared.activations(self.has_bias, input_dtype).to(dtype)
            right = self._eigenvectors(ACTIVATION_EIGENVECTORS_NAME, gradients.device)
        return gradient_blocks(gradients, activations, left, right)

    def rotated_tokens(
        self, shared: SharedInput, gradients: Tensor, input_dtype: torch.dtype, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Output gradients [B, T, O] and activations [B, T, I] in the eigenbasis.

        Both are rounded to `input_dtype`, then rotated in `dtype`.
        """
        outer = self._eigenvectors(GRADIENT_EIGENVECTORS_NAME, gradients.device)
        rotated = self._scaled(gradients, input_dtype, dtype) @ outer
        return rotated, self._rotated_activations(shared, input_dtype)

    def _scaled(self, gradients: Tensor, input_dtype: torch.dtype, dtype: torch.dtype) -> Tensor:
        """Output gradients without the loss scale of mixed precision."""
        gradients = gradients.to(input_dtype).to(dtype)
        return gradients * self.gradient_scale if self.gradient_scale != 1.0 else gradients

    def _eigenvectors(self, name: str, device: torch.device) -> Tensor:
        """Eigenvectors [O, O] or [I, I], moved to the device once and kept there."""
        basis: Tensor = self.storage[name].to(device)
        self.storage[name] = basis
        return basis

    def _rotated_activations(self, shared: SharedInput, input_dtype: torch.dtype) -> Tensor:
        """Activations [B, T, I] in the eigenbasis, shared by modules with the same input."""
        inner = self._eigenvectors(ACTIVATION_EIGENVECTORS_NAME, shared.device)
        activations, basis = shared.rotated(inner, self.has_bias, input_dtype)
        # one tensor for all modules with equal eigenvectors: less memory, and `is` finds it again
        self.storage[ACTIVATION_EIGENVECTORS_NAME] = basis
        return activations

    def compute_pairwise_score(
        self,
        preconditioned_gradient: Tensor | list[Tensor],
        input_activation: Tensor,
        output_gradient: Tensor,
    ) -> Tensor:
        """Influence [Q, B] of the batch's examples on the prompts; [Q, B, T] with token scores."""
        activations = as_tokens(self._flatten_input_activation(input_activation))
        by_token = self.scores_per_token(input_activation.dim())
        gradients = as_tokens(output_gradient)
        return self.to_score_dtype(
            self.pairwise_product(preconditioned_gradient, gradients, activations, by_token)
        )

    def scores_per_token(self, dimensions: int) -> bool:
        """Whether scores are computed per token: inputs must have a token dimension, [B, T, I]."""
        return bool(self.score_args.compute_per_token_scores) and dimensions == 3

    def to_score_dtype(self, scores: Tensor) -> Tensor:
        """Scores in the dtype in which Kronfluence receives them."""
        return scores if self.keeps_float32 else scores.to(self.score_args.score_dtype)

    def pairwise_product(
        self,
        prompts: Tensor | list[Tensor],
        gradients: Tensor,
        activations: Tensor,
        by_token: bool,
    ) -> Tensor:
        """Dot products of prompts' gradients with examples', in float32 or more.

        Prompts' gradients are whole, [Q, O, I], or compressed to two factors; both sides must be
        in the same basis.
        """
        if by_token:
            # Kronfluence joins batches along examples, so their tokens must be as many
            per_token = pairwise_tokens(prompts, gradients, activations)
            return pad(per_token, (0, max(0, (self.positions or 0) - per_token.shape[-1])))
        if isinstance(prompts, list):
            left, right = prompts
            return pairwise_low_rank(left, right, gradients, activations)
        return pairwise(prompts, gradients, activations)

    def get_factor(self, factor_name: str) -> Tensor | None:
        """The factor as Kronfluence computes it: symmetric, and in the dtype of the settings.

        Raises:
            RuntimeError: see `SharedCovarianceTracker.check_sharing`.
        """
        factor: Tensor | None = super().get_factor(factor_name)
        if factor is None:
            return None
        if factor_name in _COVARIANCES:
            self._trackers[ModuleMode.COVARIANCE].check_sharing()
            symmetrize(factor)  # the tracker has summed the upper triangle only
            return factor.to(getattr(self.factor_args, _COVARIANCES[factor_name]))
        if factor_name == LAMBDA_MATRIX_NAME:  # summed in float32 or more
            return factor.to(self.factor_args.lambda_dtype)
        return factor
