"""The sums that factors and scores are made of, each in the cheaper of its orders.

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
"""What a CPU keeps at hand of gradients [B, o, I] that are made, used once and dropped."""
_ACCELERATOR_BYTES = 2**28
_WIDE = 1024
_STRIPS = 8


def add_gram(total: Tensor, rows: Tensor, scale: float = 1.0) -> None:
    """Adds scale · rowsᵀ rows [d, d] of rows [n, d], on and above the diagonal of `total`.

    Half of the work where d is large enough for it to matter. What is below the diagonal is
    undefined until `fill_lower` is called.
    """
    width = rows.shape[1]
    step = -(-width // _STRIPS) if width >= _WIDE else width
    for start in range(0, width, step):
        strip = total[start : start + step, start:]
        left, right = rows[:, start : start + step].t(), rows[:, start:]
        if strip.dtype == rows.dtype:
            strip.addmm_(left, right, alpha=scale)
        else:
            strip.add_(left @ right, alpha=scale)


def fill_lower(total: Tensor) -> None:
    """Makes what `add_gram` summed symmetric, in place; again changes nothing."""
    total.triu_()
    total.add_(total.triu(1).t())


def rotate_first(tokens: int, other_width: int) -> bool:
    """Whether one side, of width w, is cheaper to rotate before the gradient is formed.

    Before, T · w² multiplications an example; after, `other_width` · w².
    """
    return tokens < other_width


def rotate_examples(prompts: int, lengths: NDArray[np.integer], outputs: int, inputs: int) -> bool:
    """Whether prompts and examples are cheaper to bring together in the eigenbasis.

    There every example is rotated, each side in its cheaper order; `lengths` [N] are their tokens.
    Otherwise every prompt's gradient is turned back: O · I · (O + I) multiplications each.
    """
    back = prompts * outputs * inputs * (outputs + inputs)
    left, right = (int(np.minimum(lengths, width).sum()) for width in (inputs, outputs))
    return left * outputs**2 + right * inputs**2 < back


def gradient_pieces(
    gradients: Tensor, activations: Tensor, left: Tensor | None = None, right: Tensor | None = None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Examples' gradients leftᵀ · gradient · right, a piece [b, o, I] at a time.

    `gradients` [B, T, O], `activations` [B, T, I]; a piece comes with the examples and the
    outputs that it is of. It is the caller's to overwrite.
    """
    examples, _, outputs = gradients.shape
    row_bytes = activations.shape[2] * activations.element_size()
    rows = max(1, (_CACHED_BYTES if gradients.is_cpu else _ACCELERATOR_BYTES) // row_bytes)
    if left is None:
        step = max(1, rows // examples)
        for start in range(0, outputs, step):
            chosen = slice(start, start + step)
            piece = gradients[:, :, chosen].transpose(1, 2) @ activations
            yield slice(None), chosen, piece if right is None else piece @ right
        return
    step = max(1, rows // outputs)
    for start in range(0, examples, step):
        chosen = slice(start, start + step)
        piece = gradients[chosen].transpose(1, 2) @ activations[chosen]
        yield chosen, slice(None), left.t() @ (piece if right is None else piece @ right)


def add_squares(total: Tensor, pieces: Iterator[tuple[slice, slice, Tensor]]) -> None:
    """Adds every example's squared gradient to `total` [O, I]."""
    for _, outputs, piece in pieces:
        total[outputs] += piece.square_().sum(dim=0, dtype=total.dtype)


def weighted_squares(
    examples: int, weights: Tensor, pieces: Iterator[tuple[slice, slice, Tensor]]
) -> Tensor:
    """Σ weights · gradient² [B] of every example, weights [O, I]; summed in at least float32."""
    dtype = accumulator(weights.dtype)
    found = torch.zeros(examples, dtype=dtype, device=weights.device)
    for chosen, outputs, piece in pieces:
        found[chosen] += piece.square_().mul_(weights[outputs]).sum(dim=(1, 2), dtype=dtype)
    return found


def squared_norms(gradients: Tensor, activations: Tensor) -> Tensor:
    """Σ gradient² [B] of every example.

    ‖Σ_t g_t a_tᵀ‖² = Σ_tu (g_t·g_u)(a_t·a_u): T²(I + O) multiplications, T·I·O otherwise.
    """
    tokens, outputs, inputs = gradients.shape[1], gradients.shape[2], activations.shape[2]
    dtype = accumulator(gradients.dtype)
    if tokens * (inputs + outputs) < inputs * outputs:
        alike = (gradients @ gradients.transpose(1, 2)) * (
            activations @ activations.transpose(1, 2)
        )
        return alike.sum(dim=(1, 2), dtype=dtype)
    found = torch.zeros(len(gradients), dtype=dtype, device=gradients.device)
    for chosen, _, piece in gradient_pieces(gradients, activations):
        found[chosen] += piece.square_().sum(dim=(1, 2), dtype=dtype)
    return found


def pairwise(prompts: Tensor, gradients: Tensor, activations: Tensor) -> Tensor:
    """Products [Q, B] of the prompts' gradients [Q, O, I] with the examples', in float32 or more.

    With one prompt it is cheaper to send the activations through its gradient.
    """
    if len(prompts) == 1:
        through = (activations @ prompts[0].t()) * gradients
        return through.sum(dim=(1, 2), dtype=accumulator(gradients.dtype))[None]
    return pairwise_pieces(prompts, len(gradients), gradient_pieces(gradients, activations))


def pairwise_pieces(
    prompts: Tensor, examples: int, pieces: Iterator[tuple[slice, slice, Tensor]]
) -> Tensor:
    """As `pairwise`, of examples whose gradients come in pieces."""
    dtype = accumulator(prompts.dtype)
    found = torch.zeros(len(prompts), examples, dtype=dtype, device=prompts.device)
    for chosen, outputs, piece in pieces:
        left, right = prompts[:, outputs].flatten(1), piece.flatten(1)
        found[:, chosen] += left.to(dtype) @ right.t().to(dtype)
    return found


def pairwise_tokens(
    prompts: Tensor | Sequence[Tensor], gradients: Tensor, activations: Tensor
) -> Tensor:
    """Each token's share [Q, B, T] of `pairwise`, or of `pairwise_low_rank`."""
    dtype = accumulator(gradients.dtype)
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
    """As `pairwise`, of prompts compressed to left [Q, O, k] · right [Q, k, I].

    Tokens meet the factors, T·Q·k·(O + I) multiplications an example, unless it is cheaper to
    form the example's gradient first, O·I·(T + Q·k).
    """
    prompts, outputs, rank = left.shape
    inputs, tokens = right.shape[2], gradients.shape[1]
    ranks = prompts * rank
    dtype = accumulator(gradients.dtype)
    rights = right.reshape(ranks, inputs).t()
    if tokens * ranks * (outputs + inputs) <= outputs * inputs * (tokens + ranks):
        seen = gradients @ left.transpose(0, 1).reshape(outputs, ranks)
        seen = seen.mul_(activations @ rights).sum(dim=1, dtype=dtype)
        return seen.view(-1, prompts, rank).sum(dim=2).t()
    found = torch.zeros(prompts, len(gradients), dtype=dtype, device=gradients.device)
    for chosen, rows, piece in gradient_pieces(gradients, activations):
        through = (piece @ rights).view(*piece.shape[:2], prompts, rank).to(dtype)
        found[:, chosen] += torch.einsum("boqk,qok->qb", through, left[:, rows].to(dtype))
    return found


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """What sums of such numbers are kept in: at least float32."""
    return torch.promote_types(dtype, torch.float32)
