"""Summed next-token loss, computed in chunks: the logits of all positions are never held at once.

Shape legend: N labelled positions, D width of the hidden states, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

_CACHED_BYTES = 2**24
"""Logits of a chunk on a CPU: small enough to stay in its cache."""
_ACCELERATOR_BYTES = 2**28
"""Logits of a chunk on a GPU: large enough to keep it busy."""
_PROBE_TOKENS = 8
_LARGE = 1e4
"""Logits of the probe: a cap or a scale that small ones hardly show changes these."""


def vocabulary_projection(model: PreTrainedModel) -> nn.Linear | None:
    """The model's output projection, or None if it alone does not give the model's logits.

    Some architectures scale or cap their logits, or what they project. So on 8 tokens the head's
    input must be the last hidden state, and logits that are put in the head's place, up to 10,000,
    must come out of the model as they are.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if type(head) is not nn.Linear or model.base_model is model:
        return None
    ids = torch.arange(_PROBE_TOKENS, device=model.device)[None] % head.out_features
    planted = torch.linspace(-_LARGE, _LARGE, head.out_features, device=model.device)
    inputs: list[Tensor] = []

    def plant(_module: nn.Module, seen: tuple[Tensor], output: Tensor) -> Tensor:
        inputs.append(seen[0])
        return planted.to(output.dtype).expand_as(output)

    with torch.no_grad():
        body = model.base_model(input_ids=ids, use_cache=False)
        hidden: Tensor | None = getattr(body, "last_hidden_state", None)
        hook = head.register_forward_hook(plant)
        try:
            logits = model(input_ids=ids, use_cache=False).logits
        finally:
            hook.remove()
    if hidden is None or len(inputs) != 1 or inputs[0].shape != hidden.shape:
        return None
    same = torch.allclose(inputs[0], hidden, rtol=1e-3, atol=1e-4)
    whole = torch.equal(logits, planted.to(logits.dtype).expand_as(logits))
    return head if same and whole else None


def summed_loss(
    head: nn.Linear, hidden: Tensor, labels: Tensor, uniforms: Tensor | None = None
) -> Tensor:
    """Σ −log p(label) in nats, float32 or more, of hidden states [N, D] and labels [N].

    With `uniforms` [N] the labels are sampled from the model's distribution instead, see
    `sample_labels`. Only the hidden states get a gradient, not the head's weights.
    """
    total: Tensor = _SummedLoss.apply(hidden, head.weight, head.bias, labels, uniforms)
    return total


def logit_chunk_size(
    device: torch.device, vocabulary: int, dtype: torch.dtype = torch.float32
) -> int:
    """Number of positions whose logits are computed, used and freed together."""
    budget = _CACHED_BYTES if device.type == "cpu" else _ACCELERATOR_BYTES
    return max(1, budget // (vocabulary * dtype.itemsize))


def sample_labels(weights: Tensor, uniforms: Tensor) -> Tensor:
    """Samples labels […], int64, by inverting the cumulative distribution.

    `weights` […, V]: probabilities up to a constant factor; `uniforms` […]: random numbers in
    [0, 1).
    """
    cumulative = weights.cumsum(dim=-1)
    thresholds = uniforms.unsqueeze(-1) * cumulative[..., -1:]
    labels = torch.searchsorted(cumulative, thresholds, right=True).squeeze(-1)
    # rounding may raise a threshold to the total itself, which lies beyond the last label
    return labels.clamp_(max=weights.shape[-1] - 1)


class _SummedLoss(torch.autograd.Function):
    """Computes the gradient in the forward pass, so that each chunk's logits can be freed."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        uniforms: Tensor | None,
    ) -> Tensor:
        # sums over the vocabulary and over positions lose too much in half precision
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=dtype, device=hidden.device)
        gradient = torch.empty_like(hidden, dtype=dtype)
        step = logit_chunk_size(hidden.device, weight.shape[0], dtype)
        for start in range(0, len(hidden), step):
            part = slice(start, start + step)
            logits = functional.linear(hidden[part], weight, bias).to(dtype)
            logits.sub_(logits.amax(dim=-1, keepdim=True))  # exp cannot overflow
            wanted = labels[part].unsqueeze(-1)
            if uniforms is not None:
                wanted = sample_labels(logits.exp(), uniforms[part]).unsqueeze(-1)
            total -= logits.gather(-1, wanted).sum()
            weights = logits.exp_()
            sums = weights.sum(dim=-1, keepdim=True)
            total += sums.log().sum()
            # d loss / d logits = softmax − one-hot label; in place: logits are the largest tensor
            error = weights.div_(sums)
            error.scatter_add_(-1, wanted, error.new_full(wanted.shape, -1.0))
            # the product in the weights' dtype, as autograd would compute it
            gradient[part] = error.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        ctx.dtype = hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * gradients[0]).to(ctx.dtype), None, None, None, None
