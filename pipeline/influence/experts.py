"""Gives every expert of a mixture a linear module of its own, so that its gradient can be traced.

transformers keeps the weights of all experts of a layer in one tensor, [experts, O, I] or
[experts, I, O], and multiplies them without any linear module. Here each expert gets two, whose
weights are views of that tensor, and a forward pass that calls each of them once, with the tokens
that are routed to it: the same sums in the same arithmetic, none of them approximated.

Shape legend: N tokens of a batch, n of them routed to an expert, k experts to a token.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_UP, _GATED_UP, _DOWN = "up_proj", "gate_up_proj", "down_proj"


class ExpertLinear(nn.Module):
    """A linear layer of one expert; it is told which of the batch's tokens reach it."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """`weight` [O, I] and `bias` [O] may be views."""
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.out_features, self.in_features = weight.shape

    def forward(self, inputs: Tensor, _rows: Tensor) -> Tensor:
        """Outputs [n, O] of inputs [n, I]; `_rows` [n] are the tokens' numbers among the N."""
        return functional.linear(inputs, self.weight, self.bias)


def separate_experts(model: nn.Module) -> None:
    """Adds the linear modules `experts.<number>.<projection>`, and has them called; idempotent."""
    modules: list[Any] = list(model.modules())  # of classes that transformers' decorator extends
    for module in modules:
        if is_fused(module) and not is_separated(module):
            for number in range(module.num_experts):
                module.add_module(str(number), _expert(module, number))
            module.forward = MethodType(_forward, module)


def join_experts(model: nn.Module) -> None:
    """Undoes `separate_experts`."""
    modules: list[Any] = list(model.modules())  # of classes that transformers' decorator extends
    for module in modules:
        if is_separated(module):
            for number in range(module.num_experts):
                delattr(module, str(number))
            del module.forward


def is_fused(module: nn.Module) -> bool:
    """Whether a module holds several experts as transformers' `use_experts_implementation` has
    them: only then is it known what their tensors are."""
    down = module._parameters.get(_DOWN)
    known = all(hasattr(module, name) for name in ("num_experts", "has_gate", "is_transposed"))
    return known and down is not None and down.dim() == 3


def is_separated(module: nn.Module) -> bool:
    """Whether `separate_experts` has been here."""
    return is_fused(module) and "forward" in vars(module)


def fused_weight(model: nn.Module, name: str) -> tuple[nn.Module, str, int] | None:
    """(experts, projection, number) of the expert's module `name`; None if it is of no expert."""
    parent, _, projection = name.rpartition(".")
    experts, _, number = parent.rpartition(".")
    if not number.isdecimal() or not experts or not is_fused(model.get_submodule(experts)):
        return None
    return model.get_submodule(experts), projection, int(number)


def _expert(experts: nn.Module, number: int) -> nn.ModuleDict:
    up = _GATED_UP if experts.has_gate else _UP
    return nn.ModuleDict({name: _linear(experts, name, number) for name in (up, _DOWN)})


def _linear(experts: nn.Module, name: str, number: int) -> ExpertLinear:
    weight = experts.get_parameter(name).detach()[number]
    bias = experts._parameters.get(f"{name}_bias")
    return ExpertLinear(
        weight.T if experts.is_transposed else weight,
        None if bias is None else bias.detach()[number],
    )


def _forward(
    experts: Any,  # a module with the attributes that transformers' decorator sets
    hidden_states: Tensor,
    top_k_index: Tensor,
    top_k_weights: Tensor,
) -> Tensor:
    """Weighted sums [N, width] of the outputs of every token's experts; index and weights [N, k].

    An expert that no token is routed to is called with none, so that it counts as called.
    """
    total = torch.zeros_like(hidden_states)
    for number in range(experts.num_experts):
        expert = experts.get_submodule(str(number))
        rows, places = torch.where(top_k_index == number)
        inner = expert[_GATED_UP if experts.has_gate else _UP](hidden_states[rows], rows)
        inner = experts._apply_gate(inner) if experts.has_gate else experts.act_fn(inner)
        outer = expert[_DOWN](inner, rows)
        if experts.has_post_expert_norm:
            outer = experts.post_expert_norm(outer)
        outer = outer * top_k_weights[rows, places, None]
        total = total.index_add(0, rows, outer.to(total.dtype))
    return total
