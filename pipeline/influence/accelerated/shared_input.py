"""Results that modules with the same input share, so that they are computed once.

gate_proj and up_proj read the same tensor, so do q_proj, k_proj and v_proj. The results are
attached to the tensor itself, so no code needs to know the model's architecture.

Shape legend: B examples, T tokens, I inputs of the modules (one more with a bias).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.influence.accelerated.contractions import accumulation_dtype, add_gram

_ATTRIBUTE = "_headwater_shared_input"


@dataclass
class ActivationSum:
    """The sum Σ a aᵀ over tokens, upper triangle only, and the number of tokens."""

    matrix: Tensor
    """[I, I], float32 or more."""
    tokens: Tensor
    """Number of tokens in the sum; int64 [1]."""
    inputs: int = 0
    """Number of batches in the sum; every module that shares it must have seen as many."""

    @classmethod
    def zeros(cls, rows: Tensor) -> ActivationSum:
        """An empty sum for rows [n, I] like these."""
        width = rows.shape[1]
        matrix = rows.new_zeros(width, width, dtype=accumulation_dtype(rows.dtype))
        return cls(matrix, torch.zeros(1, dtype=torch.int64, device=rows.device))

    def add(self, rows: Tensor, tokens: Tensor | int) -> None:
        """Adds activations `rows` [n, I] of `tokens` tokens."""
        add_gram(self.matrix, rows)
        self.tokens.add_(tokens)
        self.inputs += 1


class SharedInput:
    """Input [B, T, I] of modules in one forward pass, with the results computed from it."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor.detach().clone()  # a later module may change it in place
        self._version = tensor._version  # torch counts in-place changes
        self._activations: dict[tuple[bool, torch.dtype], Tensor] = {}
        self._rotated: list[tuple[Tensor, tuple[bool, torch.dtype], Tensor]] = []
        self.sums: dict[tuple[bool, int], ActivationSum] = {}
        """The sums that include this input, by (has a bias, id of the padding mask)."""
        self.added_by: set[int] = set()
        """Ids of the trackers that have counted it."""

    @classmethod
    def of(cls, tensor: Tensor) -> SharedInput:
        """The `SharedInput` attached to this tensor; a new one if the tensor has been changed."""
        shared = getattr(tensor, _ATTRIBUTE, None)
        if not isinstance(shared, cls) or shared._version != tensor._version:
            shared = cls(tensor)
            setattr(tensor, _ATTRIBUTE, shared)
        return shared

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the module's input; 3 for [B, T, I]."""
        return self._tensor.dim()

    @property
    def device(self) -> torch.device:
        """Device of the input."""
        return self._tensor.device

    def activations(self, bias: bool, dtype: torch.dtype) -> Tensor:
        """Activations [B, T, I] in the dtype; with a bias, a 1 is appended to each token's."""
        activations = self._activations.get((bias, dtype))
        if activations is None:
            activations = as_tokens(self._tensor).to(dtype)
            if bias:
                ones = activations.new_ones(*activations.shape[:2], 1)
                activations = torch.cat([activations, ones], dim=2)
            self._activations[bias, dtype] = activations
        return activations

    def rotated(
        self, eigenvectors: Tensor, bias: bool, input_dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Activations [B, T, I] in the eigenbasis, rounded to `input_dtype` before; and the basis.

        The basis [I, I] is the first tensor equal to `eigenvectors` that was passed here.
        """
        for basis, key, rotated in self._rotated:
            # equal, not only identical: Kronfluence loads the eigenvectors of each module anew
            if key == (bias, input_dtype) and (
                basis is eigenvectors or torch.equal(basis, eigenvectors)
            ):
                return rotated, basis
        rotated = self.activations(bias, input_dtype).to(eigenvectors.dtype) @ eigenvectors
        self._rotated.append((eigenvectors, (bias, input_dtype), rotated))
        return rotated, eigenvectors


def as_tokens(tensor: Tensor) -> Tensor:
    """Reshapes [B, …, d] to [B, T, d]; T = 1 for [B, d]."""
    return tensor.unsqueeze(1) if tensor.dim() == 2 else tensor.flatten(1, -2)
