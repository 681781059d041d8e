"""What several modules compute from one and the same input, computed once.

gate_proj and up_proj read the same tensor, so do q_proj, k_proj and v_proj. The tensor itself
carries what has been made of it, so nothing has to know the model's architecture.

Shape legend: B examples, T tokens, I inputs of the modules (one more with a bias).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.influence.accelerated.contractions import accumulator, add_gram

_ATTRIBUTE = "_headwater_shared_input"


@dataclass
class ActivationSum:
    """Σ a aᵀ over tokens, on and above the diagonal, and how many there were."""

    matrix: Tensor
    """[I, I], float32 or more."""
    tokens: Tensor
    """int64 [1]."""
    inputs: int = 0
    """How many inputs have been added. A module that shares this sum has seen as many."""

    @classmethod
    def of_width(cls, rows: Tensor) -> ActivationSum:
        """Nothing added yet, of so many columns as `rows` [n, I]."""
        width = rows.shape[1]
        matrix = rows.new_zeros(width, width, dtype=accumulator(rows.dtype))
        return cls(matrix, torch.zeros(1, dtype=torch.int64, device=rows.device))

    def add(self, rows: Tensor, tokens: Tensor | int) -> None:
        """Adds rows [n, I], which are so many tokens."""
        add_gram(self.matrix, rows)
        self.tokens.add_(tokens)
        self.inputs += 1


class SharedInput:
    """Activations [B, T, I] of one forward pass and what they became."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor.detach().clone()  # a later module may change it in place
        self._version = tensor._version
        self._activations: dict[tuple[bool, torch.dtype], Tensor] = {}
        self._rotated: list[tuple[Tensor, tuple[bool, torch.dtype], Tensor]] = []
        self.sums: dict[tuple[bool, int], ActivationSum] = {}
        """What this input has been added to: with or without a bias, under which mask."""
        self.added_by: set[int] = set()
        """Trackers that have added it, by their ids."""

    @classmethod
    def of(cls, tensor: Tensor) -> SharedInput:
        """The one of this tensor, as long as nobody writes to it."""
        found = getattr(tensor, _ATTRIBUTE, None)
        if not isinstance(found, cls) or found._version != tensor._version:
            found = cls(tensor)
            setattr(tensor, _ATTRIBUTE, found)
        return found

    @property
    def dimensions(self) -> int:
        """3 of [B, T, I]."""
        return self._tensor.dim()

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self._tensor.device

    def activations(self, bias: bool, dtype: torch.dtype) -> Tensor:
        """[B, T, I]; a 1 is appended to every token's where the module has a bias."""
        found = self._activations.get((bias, dtype))
        if found is None:
            found = as_tokens(self._tensor).to(dtype)
            if bias:
                found = torch.cat([found, found.new_ones(*found.shape[:2], 1)], dim=2)
            self._activations[bias, dtype] = found
        return found

    def rotated(
        self, eigenvectors: Tensor, bias: bool, rounded: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Activations, rounded to a dtype, in the basis [I, I]; and the tensor that stands for
        equal bases from now on."""
        for basis, key, rotated in self._rotated:
            if key == (bias, rounded) and (
                basis is eigenvectors or torch.equal(basis, eigenvectors)
            ):
                return rotated, basis
        rotated = self.activations(bias, rounded).to(eigenvectors.dtype) @ eigenvectors
        self._rotated.append((eigenvectors, (bias, rounded), rotated))
        return rotated, eigenvectors


def as_tokens(tensor: Tensor) -> Tensor:
    """[B, T, d] of [B, …, d]; without any dimension between them, T = 1."""
    return tensor.unsqueeze(1) if tensor.dim() == 2 else tensor.flatten(1, -2)
