"""Kronfluence's tracked linear module with the trackers and contractions of this package.

Importing this file registers the classes for `nn.Linear` and for GPT-2's `Conv1D`, a linear layer
whose weight is transposed: Kronfluence wraps such modules in them from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.module.linear import TrackedLinear
from kronfluence.module.tracked_module import ModuleMode, TrackedModule
from kronfluence.utils.constants import (
    ACTIVATION_COVARIANCE_MATRIX_NAME,
    ACTIVATION_EIGENVECTORS_NAME,
    GRADIENT_COVARIANCE_MATRIX_NAME,
    GRADIENT_EIGENVECTORS_NAME,
    LAMBDA_MATRIX_NAME,
)
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D

from pipeline.contract.errors import SettingsError
from pipeline.influence.accelerated.contractions import (
    gradient_blocks,
    pairwise,
    pairwise_low_rank,
    pairwise_tokens,
    rotate_first,
    symmetrize,
)
from pipeline.influence.accelerated.covariance import SharedCovarianceTracker
from pipeline.influence.accelerated.shared_input import SharedInput, token_reader
from pipeline.influence.accelerated.trackers import (
    AcceleratedLambdaTracker,
    AcceleratedPairwiseTracker,
    AcceleratedPreconditionTracker,
    AcceleratedSelfScoreTracker,
)
from pipeline.influence.experts import ExpertLinear

_KEPT = "_headwater_kept"
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

    def reader(self, *routed: Tensor) -> Callable[[Tensor], Tensor]:
        """Makes [B, T, d] of the module's inputs and output gradients; see `token_reader`."""
        mask: Tensor | None = self.attention_mask
        return token_reader(None if mask is None else mask.shape, self.name, *routed)

    def unpadded_rows(self, tensor: Tensor, *routed: Tensor) -> Tensor:
        """Rows [n, d] of the batch's n tokens without padding; raises as `as_tokens`."""
        rows, mask = self.reader()(tensor).flatten(0, 1), self.attention_mask
        # padding is dropped, not zeroed as Kronfluence does: the same sum of fewer rows
        kept = None if mask is None else _kept(mask)
        return rows if kept is None else rows[kept]

    def gradient_rows(self, tensor: Tensor, *routed: Tensor) -> tuple[Tensor, int]:
        """Output gradients [n, O] of all tokens, and how many of these are no padding."""
        # padding's too, as Kronfluence has it: one before a token may be what predicts it
        rows, mask = self.reader()(tensor).flatten(0, 1), self.attention_mask
        kept = None if mask is None else _kept(mask)
        return rows, len(rows) if kept is None else len(kept)

    def with_bias_input(self, rows: Tensor) -> Tensor:
        """Activations [n, I]; with a bias, a 1 is appended to each."""
        return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1) if self.has_bias else rows

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
        read = self.reader()
        activations = self._flatten_input_activation(read(input_activation))
        by_token = bool(self.score_args.compute_per_token_scores)
        gradients = read(output_gradient)
        return self.to_score_dtype(
            self.pairwise_product(preconditioned_gradient, gradients, activations, by_token)
        )

    def compute_per_sample_gradient(
        self, input_activation: Tensor, output_gradient: Tensor
    ) -> Tensor:
        """Per-example gradients [B, O, I], for Kronfluence's own trackers."""
        read = self.reader()
        gradients: Tensor = super().compute_per_sample_gradient(
            read(input_activation), read(output_gradient)
        )
        return gradients

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

    def prepare_storage(self, device: torch.device) -> None:
        """Inverts the damped curvature; where there is none at all, the inverse is 0."""
        super().prepare_storage(device)
        ignore_unseen(self.storage)

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


def _kept(mask: Tensor) -> Tensor | None:
    """Numbers of the tokens that are no padding, int64; None where none is.

    Found once for each mask, which all modules share: a GPU has to wait for it.
    """
    kept: Tensor | None = getattr(mask, _KEPT, None)
    if kept is None:
        kept = mask.flatten().nonzero().flatten()
        setattr(mask, _KEPT, kept)
    return kept if len(kept) < mask.numel() else None


def ignore_unseen(storage: dict[str, Any]) -> None:  # Any: Kronfluence's tensors, or None
    """Sets an inverse [O, I] that is infinite throughout to 0: the module saw no training token.

    Every example's gradient is zero there, so its share of any score is 0, not 0 · ∞.
    """
    inverse = storage.get(LAMBDA_MATRIX_NAME)
    if isinstance(inverse, Tensor) and bool(inverse.isinf().all()):
        storage[LAMBDA_MATRIX_NAME] = torch.zeros_like(inverse)


TrackedModule.SUPPORTED_MODULES[FalconLinear] = AcceleratedLinear  # it only adds its bias later


class AcceleratedConv1D(AcceleratedLinear, module_type=Conv1D):  # type: ignore[call-arg]
    """The same for a layer that keeps its weight as [I, O]; its gradients are [O, I] here too."""

    @property
    def in_features(self) -> int:
        """Width of the input."""
        return int(self.original_module.nx)

    @property
    def out_features(self) -> int:
        """Width of the output."""
        return int(self.original_module.nf)


class AcceleratedExpert(AcceleratedLinear, module_type=ExpertLinear):  # type: ignore[call-arg]
    """The same for an expert, which sees the rows [n, I] of the tokens that are routed to it."""

    def needs_original_tracker(self, args: FactorArguments | ScoreArguments) -> bool:
        """Never: Kronfluence's own trackers do not know whose tokens an expert sees.

        Raises:
            SettingsError: the settings ask for what only they can do.
        """
        if super().needs_original_tracker(args):
            raise SettingsError(
                "offload_activations_to_cpu = true does not work with a mixture of experts",
                'set it to false, or modules.group = "attention"',
            )
        return False

    def unpadded_rows(self, tensor: Tensor, *routed: Tensor) -> Tensor:
        """Those of the rows [n, d] whose tokens are no padding."""
        (tokens,) = routed
        return tensor[self.attention_mask.flatten()[tokens].bool()]

    def gradient_rows(self, tensor: Tensor, *routed: Tensor) -> tuple[Tensor, int]:
        """Output gradients [n, O] of the tokens routed here, and how many are no padding."""
        (tokens,) = routed
        return tensor, int(self.attention_mask.flatten()[tokens].sum())
