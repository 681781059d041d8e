"""Results that modules with the same input share, so that they are computed once.

gate_proj and up_proj read the same tensor, so do q_proj, k_proj and v_proj. The results are
attached to the tensor itself, so no code needs to know the model's architecture.

Shape legend: B examples, T tokens, I inputs of the modules (one more with a bias).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pipeline.contract.errors import ModelError
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

    def __init__(self, tokens: Tensor, version: int) -> None:
        self._tensor = tokens.detach().clone()  # a later module may change it in place
        self._version = version  # torch counts in-place changes
        self._activations: dict[tuple[bool, torch.dtype], Tensor] = {}
        self._rotated: list[tuple[Tensor, tuple[bool, torch.dtype], Tensor]] = []
        self.sums: dict[tuple[bool, int], ActivationSum] = {}
        """The sums that include this input, by (has a bias, id of the padding mask)."""
        self.added_by: set[int] = set()
        """Ids of the trackers that have counted it."""

    @classmethod
    def of(cls, tensor: Tensor, tokens: Callable[[Tensor], Tensor]) -> SharedInput:
        """The `SharedInput` attached to this tensor; a new one if the tensor has been changed.

        `tokens` makes [B, T, I] of it.
        """
        shared = getattr(tensor, _ATTRIBUTE, None)
        if not isinstance(shared, cls) or shared._version != tensor._version:
            shared = cls(tokens(tensor), tensor._version)
            setattr(tensor, _ATTRIBUTE, shared)
        return shared

    @property
    def device(self) -> torch.device:
        """Device of the input."""
        return self._tensor.device

    def activations(self, bias: bool, dtype: torch.dtype) -> Tensor:
        """Activations [B, T, I] in the dtype; with a bias, a 1 is appended to each token's."""
        activations = self._activations.get((bias, dtype))
        if activations is None:
            activations = self._tensor.to(dtype)
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


def token_reader(
    batch: Sequence[int] | None, module: str, *routed: Tensor
) -> Callable[[Tensor], Tensor]:
    """What makes [B, T, d] of a module's inputs and output gradients in one forward pass.

    `routed`: what else the module is called with; an expert is told the numbers [n] of the tokens
    whose rows [n, d] it sees. As for the others, see `as_tokens`.
    """
    if not routed:
        return partial(as_tokens, batch=batch, module=module)
    assert batch is not None, module
    return partial(_placed, routed[0], batch)


def _placed(routed: Tensor, batch: Sequence[int], rows: Tensor) -> Tensor:
    """The rows in the places of their tokens; all other tokens' are zero."""
    placed = rows.new_zeros(math.prod(batch), rows.shape[-1])
    placed[routed] = rows
    return placed.view(*batch, -1)


def as_tokens(tensor: Tensor, batch: Sequence[int] | None, module: str) -> Tensor:
    """What a module saw or gave, [B, T, d] or [B·T, d], as [B, T, d]; sizes of 1 do not matter.

    `batch`: (B, T) of the batch's own tokens; None = not known, and only [B, T, d] is taken.

    Raises:
        ModelError: it has another shape, so its rows cannot be told to be which tokens.
    """
    seen, width = tensor.shape[:-1], tensor.shape[-1]
    if len(seen) == 2 and batch is None:
        return tensor
    # sizes of 1 aside: [B, T, d] and [1, B·T, d] have the same rows in the same order
    if batch is not None and _without_ones(seen) in (_without_ones(batch), _flat(batch)):
        return tensor.reshape(*batch, width)
    raise ModelError(
        f"{module} gets its input as {list(tensor.shape)} where a batch has {_told(batch)} tokens: "
        "its rows cannot be assigned to examples",
        "leave it out: name the modules to trace in modules.names, or choose another modules.group",
    )


def _without_ones(sizes: Sequence[int]) -> list[int]:
    return [size for size in sizes if size != 1]


def _flat(batch: Sequence[int]) -> list[int]:
    return _without_ones([math.prod(batch)])


def _told(batch: Sequence[int] | None) -> str:
    return " × ".join(map(str, batch)) if batch else "an unknown number of"
