"""Summed next-token loss without ever holding all logits.

Shape legend: N labelled positions, D width of the hidden states, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

_CACHED_BYTES = 2**24
"""Logits of so many bytes are made and used while a CPU has them at hand."""
_ACCELERATOR_BYTES = 2**28
_PROBE_TOKENS = 8


def vocabulary_projection(model: PreTrainedModel) -> nn.Linear | None:
    """The model's last module, if nothing else makes logits of hidden states; tried on 8 tokens.

    Some architectures scale or cap their logits: for them there is none.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if type(head) is not nn.Linear:
        return None
    ids = torch.arange(_PROBE_TOKENS, device=model.device)[None] % head.out_features
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        logits = model(input_ids=ids, use_cache=False).logits
        return head if torch.allclose(head(hidden), logits, rtol=1e-3, atol=1e-4) else None


def summed_loss(
    head: nn.Linear, hidden: Tensor, labels: Tensor, uniforms: Tensor | None = None
) -> Tensor:
    """Σ −log p(label) in nats, float32 or more, of hidden states [N, D] and labels [N].

    With `uniforms` [N] the labels are drawn from the model instead, see `draw`. Only the hidden
    states get a gradient.
    """
    total: Tensor = _SummedLoss.apply(hidden, head.weight, head.bias, labels, uniforms)
    return total


def logits_at_once(
    device: torch.device, vocabulary: int, dtype: torch.dtype = torch.float32
) -> int:
    """Positions whose logits are best made, used and dropped together."""
    budget = _CACHED_BYTES if device.type == "cpu" else _ACCELERATOR_BYTES
    return max(1, budget // (vocabulary * dtype.itemsize))


def draw(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Labels […] where the sums of the weights […, V] reach the uniforms […] in [0, 1).

    Weights are probabilities but for a factor.
    """
    cumulative = weights.cumsum(dim=-1)
    drawn_at = uniforms.unsqueeze(-1) * cumulative[..., -1:]
    found = torch.searchsorted(cumulative, drawn_at, right=True).squeeze(-1)
    return found.clamp_(max=weights.shape[-1] - 1)


class _SummedLoss(torch.autograd.Function):
    """The gradient is made together with the logits, which are then dropped."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        uniforms: Tensor | None,
    ) -> Tensor:
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=dtype, device=hidden.device)
        gradient = torch.empty_like(hidden, dtype=dtype)
        step = logits_at_once(hidden.device, weight.shape[0], dtype)
        for start in range(0, len(hidden), step):
            part = slice(start, start + step)
            logits = functional.linear(hidden[part], weight, bias).to(dtype)
            logits.sub_(logits.amax(dim=-1, keepdim=True))
            wanted = labels[part].unsqueeze(-1)
            if uniforms is not None:
                wanted = draw(logits.exp(), uniforms[part]).unsqueeze(-1)
            total -= logits.gather(-1, wanted).sum()
            weights = logits.exp_()
            sums = weights.sum(dim=-1, keepdim=True)
            total += sums.log().sum()
            error = weights.div_(sums)
            error.scatter_add_(-1, wanted, error.new_full(wanted.shape, -1.0))
            gradient[part] = error.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        ctx.dtype = hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * gradients[0]).to(ctx.dtype), None, None, None, None
