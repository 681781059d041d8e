"""The contractions behind factors and scores, each in the order that takes less arithmetic.

Shape legend: B examples of a batch, T their tokens with padding, I inputs and O outputs of a
linear module, Q prompts, k the rank of compressed prompt gradients. An example's gradient is
Σ_t g_t a_tᵀ, [O, I], of its output gradients g [T, O] and its activations a [T, I].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CACHED_BYTES = 2**24
"""A block of gradients [b, o, I] on a CPU: small enough to stay in its cache."""
_ACCELERATOR_BYTES = 2**28
"""A block on a GPU: large enough to keep it busy."""
_WIDE = 1024
"""Width from which computing half of a symmetric matrix saves time."""
_STRIPS = 8
"""Strips of rows in which the upper triangle is computed."""


def add_gram(total: Tensor, rows: Tensor, scale: float = 1.0) -> None:
    """Adds the Gram matrix scale · rowsᵀ rows [d, d] of `rows` [n, d] to `total`'s upper triangle.

    Half of the arithmetic where d is large. Below the diagonal `total` is undefined until
    `symmetrize` is called.
    """
    width = rows.shape[1]
    step = -(-width // _STRIPS) if width >= _WIDE else width
    for start in range(0, width, step):
        strip = total[start : start + step, start:]
        left, right = rows[:, start : start + step].t(), rows[:, start:]
        if strip.dtype == rows.dtype:
            strip.addmm_(left, right, alpha=scale)
        else:  # half-precision rows: `total` is wider, and addmm_ takes one dtype only
            strip.add_(left @ right, alpha=scale)


def symmetrize(total: Tensor) -> None:
    """Copies the upper triangle, which `add_gram` sums, to the lower, in place; idempotent."""
    total.triu_()
    total.add_(total.triu(1).t())


def rotate_first(tokens: int, other_width: int) -> bool:
    """Whether rotating one side, of width w, is cheaper before the gradient is formed than after.

    Before, it takes T · w² multiplications an example; after, `other_width` · w².
    """
    return tokens < other_width


def eigenbasis_is_cheaper(
    prompts: int, lengths: NDArray[np.integer], outputs: int, inputs: int
) -> bool:
    """Whether products of prompts' and examples' gradients are cheaper in the eigenbasis.

    In the eigenbasis every example is rotated, each side in its cheaper order; `lengths` [N]:
    tokens of the examples. In parameter space every preconditioned prompt gradient is rotated
    back, by O · I · (O + I) multiplications.
    """
    back = prompts * outputs * inputs * (outputs + inputs)
    left, right = (int(np.minimum(lengths, width).sum()) for width in (inputs, outputs))
    return left * outputs**2 + right * inputs**2 < back


def gradient_blocks(
    gradients: Tensor, activations: Tensor, left: Tensor | None = None, right: Tensor | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yields per-example gradients leftᵀ · gradient · right in blocks [b, o, I].

    `gradients` [B, T, O] are those of the outputs, `activations` [B, T, I]. Each block comes with
    its slices of examples and of outputs, and may be overwritten by the caller.
    """
    examples, _, outputs = gradients.shape
    row_bytes = activations.shape[2] * activations.element_size()
    rows = max(1, (_CACHED_BYTES if gradients.is_cpu else _ACCELERATOR_BYTES) // row_bytes)
    if left is None:  # outputs are independent of each other: blocks of all examples
        step = max(1, rows // examples)
        for start in range(0, outputs, step):
            chosen = slice(start, start + step)
            block = gradients[:, :, chosen].transpose(1, 2) @ activations
            yield slice(None), chosen, block if right is None else block @ right
        return
    # `left` mixes all outputs of an example: blocks of whole examples
    step = max(1, rows // outputs)
    for start in range(0, examples, step):
        chosen = slice(start, start + step)
        block = gradients[chosen].transpose(1, 2) @ activations[chosen]
        yield chosen, slice(None), left.t() @ (block if right is None else block @ right)


def add_squares(total: Tensor, blocks: Iterator[tuple[slice, slice, Tensor]]) -> None:
    """Adds the squared per-example gradients to `total` [O, I], summed in its dtype."""
    for _, outputs, block in blocks:
        total[outputs] += block.square_().sum(dim=0, dtype=total.dtype)


def weighted_squares(
    examples: int, weights: Tensor, blocks: Iterator[tuple[slice, slice, Tensor]]
) -> Tensor:
    """Σ weights · gradient² [B] for each example; weights [O, I]; summed in float32 or more."""
    dtype = accumulation_dtype(weights.dtype)
    sums = torch.zeros(examples, dtype=dtype, device=weights.device)
    for chosen, outputs, block in blocks:
        sums[chosen] += block.square_().mul_(weights[outputs]).sum(dim=(1, 2), dtype=dtype)
    return sums


def squared_norms(gradients: Tensor, activations: Tensor) -> Tensor:
    """Squared norm [B] of each per-example gradient; summed in float32 or more.

    ‖Σ_t g_t a_tᵀ‖² = Σ_tu (g_t·g_u)(a_t·a_u) takes T²(I + O) multiplications an example, forming
    the gradient T·I·O: the cheaper one is used.

    Source: the ghost norm of Li et al. 2022 (arXiv 2110.05679), section 4.
    """
    tokens, outputs, inputs = gradients.shape[1], gradients.shape[2], activations.shape[2]
    dtype = accumulation_dtype(gradients.dtype)
    if tokens * (inputs + outputs) < inputs * outputs:
        products = (gradients @ gradients.transpose(1, 2)) * (
            activations @ activations.transpose(1, 2)
        )
        return products.sum(dim=(1, 2), dtype=dtype)
    norms = torch.zeros(len(gradients), dtype=dtype, device=gradients.device)
    for chosen, _, block in gradient_blocks(gradients, activations):
        norms[chosen] += block.square_().sum(dim=(1, 2), dtype=dtype)
    return norms


def pairwise(prompts: Tensor, gradients: Tensor, activations: Tensor) -> Tensor:
    """Dot products [Q, B] of prompts' gradients [Q, O, I] with examples', in float32 or more."""
    if len(prompts) == 1:  # cheaper: no example's gradient is formed
        through = (activations @ prompts[0].t()) * gradients
        return through.sum(dim=(1, 2), dtype=accumulation_dtype(gradients.dtype))[None]
    return pairwise_from_blocks(prompts, len(gradients), gradient_blocks(gradients, activations))


def pairwise_from_blocks(
    prompts: Tensor, examples: int, blocks: Iterator[tuple[slice, slice, Tensor]]
) -> Tensor:
    """As `pairwise`, for examples' gradients that come in blocks."""
    dtype = accumulation_dtype(prompts.dtype)
    scores = torch.zeros(len(prompts), examples, dtype=dtype, device=prompts.device)
    for chosen, outputs, block in blocks:
        left, right = prompts[:, outputs].flatten(1), block.flatten(1)
        # O · I terms: too many to be summed in half precision
        scores[:, chosen] += left.to(dtype) @ right.t().to(dtype)
    return scores


def pairwise_tokens(
    prompts: Tensor | Sequence[Tensor], gradients: Tensor, activations: Tensor
) -> Tensor:
    """Per-token terms [Q, B, T] of `pairwise`; of `pairwise_low_rank` if prompts are compressed."""
    dtype = accumulation_dtype(gradients.dtype)
    if isinstance(prompts, Tensor):
        shares = [((activations @ each.t()) * gradients).sum(2, dtype=dtype) for each in prompts]
    else:
        shares = [
            ((activations @ right.t()) * (gradients @ left)).sum(2, dtype=dtype)
            for left, right in zip(*prompts, strict=True)
        ]
    return torch.stack(shares)


def pairwise_low_rank(
    left: Tensor, right: Tensor, gradients: Tensor, activations: Tensor
) -> Tensor:
    """As `pairwise`, for prompts' gradients compressed to left [Q, O, k] · right [Q, k, I].

    Multiplying tokens with both factors takes T·Q·k·(O + I) multiplications an example, forming
    the example's gradient first O·I·(T + Q·k): the cheaper one is used.
    """
    prompts, outputs, rank = left.shape
    inputs, tokens = right.shape[2], gradients.shape[1]
    ranks = prompts * rank
    dtype = accumulation_dtype(gradients.dtype)
    rights = right.reshape(ranks, inputs).t()
    if tokens * ranks * (outputs + inputs) <= outputs * inputs * (tokens + ranks):
        projected = gradients @ left.transpose(0, 1).reshape(outputs, ranks)
        products = projected.mul_(activations @ rights).sum(dim=1, dtype=dtype)
        return products.view(-1, prompts, rank).sum(dim=2).t()
    scores = torch.zeros(prompts, len(gradients), dtype=dtype, device=gradients.device)
    for chosen, rows, block in gradient_blocks(gradients, activations):
        projections = (block @ rights).view(*block.shape[:2], prompts, rank).to(dtype)
        scores[:, chosen] += torch.einsum("boqk,qok->qb", projections, left[:, rows].to(dtype))
    return scores


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which values of `dtype` are summed: at least float32."""
    return torch.promote_types(dtype, torch.float32)
