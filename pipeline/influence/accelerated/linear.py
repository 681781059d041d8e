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
    rotate_first,
)
from pipeline.influence.accelerated.shared_input import SharedInput, as_tokens
from pipeline.influence.accelerated.trackers import (
    OrderedLambdaTracker,
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
        self._trackers |= {
            ModuleMode.COVARIANCE: SharedCovarianceTracker(self),
            ModuleMode.LAMBDA: OrderedLambdaTracker(self),
            ModuleMode.PRECONDITION_GRADIENT: OrderedPreconditionTracker(self),
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
        gradients = gradients.to(rounded).to(dtype)
        if self.gradient_scale != 1.0:
            gradients = gradients * self.gradient_scale
        if not rotates:
            activations = shared.activations(self.has_bias, rounded).to(dtype)
            return gradient_pieces(gradients, activations)
        outer: Tensor = self.storage[GRADIENT_EIGENVECTORS_NAME].to(gradients.device)
        inner: Tensor = self.storage[ACTIVATION_EIGENVECTORS_NAME].to(gradients.device)
        left: Tensor | None = outer
        right: Tensor | None = inner
        tokens, (outputs, inputs) = gradients.shape[1], self.gradient_shape
        if rotate_first(tokens, inputs):
            gradients, left = gradients @ outer, None
        if rotate_first(tokens, outputs):
            activations, basis = shared.rotated(inner, self.has_bias, rounded)
            self.storage[ACTIVATION_EIGENVECTORS_NAME], right = basis, None
        else:
            activations = shared.activations(self.has_bias, rounded).to(dtype)
        return gradient_pieces(gradients, activations, left, right)

    def compute_pairwise_score(
        self,
        preconditioned_gradient: Tensor | list[Tensor],
        input_activation: Tensor,
        output_gradient: Tensor,
    ) -> Tensor:
        """Influence [Q, B], in float32 or more; [Q, B, T] as Kronfluence computes it by token."""
        if self.score_args.compute_per_token_scores:
            per_token: Tensor = super().compute_pairwise_score(
                preconditioned_gradient, input_activation, output_gradient
            )
            return pad(per_token, (0, max(0, (self.positions or 0) - per_token.shape[-1])))
        activations = as_tokens(self._flatten_input_activation(input_activation))
        gradients = as_tokens(output_gradient)
        if isinstance(preconditioned_gradient, list):
            left, right = preconditioned_gradient
            return pairwise_low_rank(left, right, gradients, activations)
        return pairwise(preconditioned_gradient, gradients, activations)

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
