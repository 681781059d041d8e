"""Kronfluence's linear module with the trackers and contractions of this package.

To import it registers it for `nn.Linear`: whatever Kronfluence wraps from then on is one.
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
    fill_lower,
    gradient_pieces,
    pairwise,
    pairwise_low_rank,
    pairwise_tokens,
    rotate_first,
)
from pipeline.influence.accelerated.shared_input import SharedInput, as_tokens
from pipeline.influence.accelerated.trackers import (
    OrderedLambdaTracker,
    OrderedPairwiseTracker,
    OrderedPreconditionTracker,
    OrderedSelfScoreTracker,
    SharedCovarianceTracker,
)

_COVARIANCES = {
    ACTIVATION_COVARIANCE_MATRIX_NAME: "activation_covariance_dtype",
    GRADIENT_COVARIANCE_MATRIX_NAME: "gradient_covariance_dtype",
}


class AcceleratedLinear(TrackedLinear, module_type=nn.Linear):  # type: ignore[misc, call-arg]
    """`TrackedLinear` with the same results from less arithmetic."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions: int | None = None
        """What per-token scores are filled up to with zeros, at least; None = as they are."""
        self.keeps_float32 = False
        """Whether scores stay in float32 or more, as they were summed, whatever score_dtype is."""
        self.rotates_examples = False
        """Whether prompts' gradients stay in the eigenbasis and examples are turned into it."""
        self._trackers |= {
            ModuleMode.COVARIANCE: SharedCovarianceTracker(self),
            ModuleMode.LAMBDA: OrderedLambdaTracker(self),
            ModuleMode.PRECONDITION_GRADIENT: OrderedPreconditionTracker(self),
            ModuleMode.PAIRWISE_SCORE: OrderedPairwiseTracker(self),
            ModuleMode.SELF_SCORE: OrderedSelfScoreTracker(self),
        }

    @property
    def has_bias(self) -> bool:
        """Whether the activations get a 1 appended."""
        return self.original_module.bias is not None

    @property
    def gradient_shape(self) -> tuple[int, int]:
        """[O, I] of an example's gradient; one more input with a bias."""
        return self.out_features, self.in_features + self.has_bias

    def as_kronfluence_does(self, args: FactorArguments | ScoreArguments) -> bool:
        """Whether the task asks for what only Kronfluence's own trackers do."""
        return (
            self.factor_args.has_shared_parameters
            or self.per_sample_gradient_process_fnc is not None
            or args.offload_activations_to_cpu
        )

    def unpadded_activations(
        self, tensor: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor | int]:
        """Activations [n, I] of the batch's tokens without padding, and n."""
        rows = as_tokens(tensor.detach()).to(dtype).flatten(0, 1)
        mask = self.attention_mask
        if mask is not None and mask.numel() == len(rows) and not mask.all():
            rows = rows[mask.flatten().bool()]
        if self.has_bias:
            rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        return rows, len(rows)

    def rotated_pieces(
        self,
        shared: SharedInput,
        gradients: Tensor,
        rounded: torch.dtype,
        dtype: torch.dtype,
        rotates: bool,
    ) -> Iterator[tuple[slice, slice, Tensor]]:
        """Pieces of examples' gradients, see `gradient_pieces`; in the eigenbasis if it `rotates`.

        Activations and `gradients` [B, T, O] are `rounded`, then everything is done in `dtype`.
        Each side is rotated when it is cheaper: of the tokens, or of the gradient.
        """
        gradients = self._scaled(gradients, rounded, dtype)
        if not rotates:
            return gradient_pieces(gradients, shared.activations(self.has_bias, rounded).to(dtype))
        left: Tensor | None = self._eigenvectors(GRADIENT_EIGENVECTORS_NAME, gradients.device)
        right: Tensor | None = None
        tokens, (outputs, inputs) = gradients.shape[1], self.gradient_shape
        if rotate_first(tokens, inputs):
            assert left is not None
            gradients, left = gradients @ left, None
        if rotate_first(tokens, outputs):
            activations = self._rotated_activations(shared, rounded)
        else:
            activations = shared.activations(self.has_bias, rounded).to(dtype)
            right = self._eigenvectors(ACTIVATION_EIGENVECTORS_NAME, gradients.device)
        return gradient_pieces(gradients, activations, left, right)

    def rotated_tokens(
        self, shared: SharedInput, gradients: Tensor, rounded: torch.dtype, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Output gradients [B, T, O] and activations [B, T, I] in the eigenbasis, `rounded` before
        they are rotated in `dtype`."""
        outer = self._eigenvectors(GRADIENT_EIGENVECTORS_NAME, gradients.device)
        rotated = self._scaled(gradients, rounded, dtype) @ outer
        return rotated, self._rotated_activations(shared, rounded)

    def _scaled(self, gradients: Tensor, rounded: torch.dtype, dtype: torch.dtype) -> Tensor:
        gradients = gradients.to(rounded).to(dtype)
        return gradients * self.gradient_scale if self.gradient_scale != 1.0 else gradients

    def _eigenvectors(self, name: str, device: torch.device) -> Tensor:
        """[O, O] or [I, I]; from now on they are on the device."""
        basis: Tensor = self.storage[name].to(device)
        self.storage[name] = basis
        return basis

    def _rotated_activations(self, shared: SharedInput, rounded: torch.dtype) -> Tensor:
        inner = self._eigenvectors(ACTIVATION_EIGENVECTORS_NAME, shared.device)
        activations, basis = shared.rotated(inner, self.has_bias, rounded)
        self.storage[ACTIVATION_EIGENVECTORS_NAME] = basis
        return activations

    def compute_pairwise_score(
        self,
        preconditioned_gradient: Tensor | list[Tensor],
        input_activation: Tensor,
        output_gradient: Tensor,
    ) -> Tensor:
        """Influence [Q, B], or [Q, B, T] by token."""
        activations = as_tokens(self._flatten_input_activation(input_activation))
        by_token = self.scores_tokens(input_activation.dim())
        gradients = as_tokens(output_gradient)
        return self.finished(
            self.product(preconditioned_gradient, gradients, activations, by_token)
        )

    def scores_tokens(self, dimensions: int) -> bool:
        """Whether tokens are scored apart: where inputs [B, T, I] have tokens at all."""
        return bool(self.score_args.compute_per_token_scores) and dimensions == 3

    def finished(self, scores: Tensor) -> Tensor:
        """Scores in the dtype that they are handed on in."""
        return scores if self.keeps_float32 else scores.to(self.score_args.score_dtype)

    def product(
        self,
        prompts: Tensor | list[Tensor],
        gradients: Tensor,
        activations: Tensor,
        by_token: bool,
    ) -> Tensor:
        """Prompts' gradients, whole or compressed, times the examples', all in one basis; in
        float32 or more."""
        if by_token:
            per_token = pairwise_tokens(prompts, gradients, activations)
            return pad(per_token, (0, max(0, (self.positions or 0) - per_token.shape[-1])))
        if isinstance(prompts, list):
            left, right = prompts
            return pairwise_low_rank(left, right, gradients, activations)
        return pairwise(prompts, gradients, activations)

    def get_factor(self, factor_name: str) -> Tensor | None:
        """As Kronfluence would have computed it: whole, and in the dtype that was asked for.

        Raises:
            RuntimeError: see `SharedCovarianceTracker.check_sharing`.
        """
        factor: Tensor | None = super().get_factor(factor_name)
        if factor is None:
            return None
        if factor_name in _COVARIANCES:
            self._trackers[ModuleMode.COVARIANCE].check_sharing()
            fill_lower(factor)
            return factor.to(getattr(self.factor_args, _COVARIANCES[factor_name]))
        if factor_name == LAMBDA_MATRIX_NAME:
            return factor.to(self.factor_args.lambda_dtype)
        return factor
