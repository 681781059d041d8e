"""Per-example gradients by autograd alone, to hold what the influence passes compute against.

Shape legend: N rows, O outputs and I inputs of a linear module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from pipeline.contract.errors import ModelError
from pipeline.corpus.examples import TokenRow
from pipeline.influence.analyzer import kronfluence_context
from pipeline.influence.experts import fused_weight

Part = tuple[str, int | None]
"""A module's name; of an expert, its number along the first dimension of the parameter."""

_TOLERATED = 1e-3
"""Largest relative difference: float32 is off by less than 1e-4, a wrong tracker by far more."""
_FAINT = 1e-4
"""Share of the largest module's value below which rounding decides."""


def squared_norms(
    model: PreTrainedModel, names: Sequence[str], rows: Sequence[TokenRow]
) -> dict[str, Tensor]:
    """‖gradient‖² [N] of each module's weight and bias, float64; one gradient at a time is kept.

    Raises:
        ModelError: no row's loss gives a module a gradient; names it.
    """
    found = {name: torch.zeros(len(rows), dtype=torch.float64) for name in names}
    reached: set[str] = set()

    def add(row: int, parts: Sequence[Part], parameter: Tensor) -> None:
        assert parameter.grad is not None
        for name, expert in parts:
            reached.add(name)
            gradient = parameter.grad if expert is None else parameter.grad[expert]
            length = torch.linalg.vector_norm(gradient, dtype=torch.float64)
            found[name][row] += float(length) ** 2
        parameter.grad = None

    weights = _weights(model, names)
    for index, row in enumerate(rows):
        with _each_gradient(weights, partial(add, index)):
            _loss(model, row).backward()  # type: ignore[no-untyped-call]
    if without := [name for name in names if name not in reached]:
        raise ModelError(
            f"{without[0]} gets no gradient from a text of {len(rows[0]['input_ids'])} tokens: it "
            "only chooses what others do, or such a text does not need it",
            "leave it out: name the modules to trace in modules.names, or set modules.group",
        )
    return found


def dot_products(
    model: PreTrainedModel,
    names: Sequence[str],
    asked: Sequence[TokenRow],
    seen: Sequence[TokenRow],
) -> dict[str, Tensor]:
    """Products [asked, seen] of each module's gradients, float64: what identity scores are."""
    products = {name: torch.zeros(len(asked), len(seen), dtype=torch.float64) for name in names}
    weights = _weights(model, names)
    with _wanted(list(weights)):
        sides = [
            [torch.autograd.grad(_loss(model, row), list(weights)) for row in rows]
            for rows in (asked, seen)
        ]
    for place, parts in enumerate(weights.values()):
        left, right = (
            torch.stack([gradients[place].double().cpu() for gradients in side]) for side in sides
        )
        for name, expert in parts:
            both = (side if expert is None else side[:, expert] for side in (left, right))
            of_asked, of_seen = (side.flatten(1) for side in both)
            products[name] += of_asked @ of_seen.T
    return products


def require_equal(what: str, found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Checks every module's values against autograd's; gives the largest relative difference.

    Raises:
        ModelError: they differ by more than rounding; names the module.
    """
    largest = max((float(values.abs().max()) for values in expected.values()), default=0.0)
    worst = 0.0
    for name, values in expected.items():
        size = max(float(values.abs().max()), _FAINT * largest, torch.finfo(torch.float32).tiny)
        off = float((found[name].double().cpu() - values).abs().max()) / size
        if not off <= _TOLERATED:  # also where it is no number
            raise ModelError(
                f"{name}: its {what} is {off:.1%} off what autograd gives, one example at a time",
                "its gradient cannot be traced; name other modules in modules.names",
            )
        worst = max(worst, off)
    return worst


def _loss(model: PreTrainedModel, row: TokenRow) -> Tensor:
    """Summed over the row's labels, from the model's own logits, without batch or padding."""
    ids = row["input_ids"][None].to(model.device)
    with kronfluence_context(tf32=False):
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    labels = row["labels"][1:].to(model.device)
    return functional.cross_entropy(output.logits[0, :-1].float(), labels, reduction="sum")


def _weights(model: nn.Module, names: Sequence[str]) -> dict[nn.Parameter, list[Part]]:
    """The parameters that hold the modules' weights and biases, each with the modules it is of."""
    found: dict[nn.Parameter, list[Part]] = {}
    for name in names:
        fused = fused_weight(model, name)
        module, projection, expert = fused or (model.get_submodule(name), "", None)
        kinds = (projection, f"{projection}_bias") if fused else ("weight", "bias")
        for parameter in (getattr(module, kind, None) for kind in kinds):
            if isinstance(parameter, nn.Parameter):
                found.setdefault(parameter, []).append((name, expert))
    return found


@contextmanager
def _wanted(weights: Sequence[Tensor]) -> Iterator[None]:
    """While entered, gradients arrive at these tensors."""
    for weight in weights:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(False)


@contextmanager
def _each_gradient(
    weights: dict[nn.Parameter, list[Part]], use: Callable[[Sequence[Part], Tensor], None]
) -> Iterator[None]:
    """While entered, a backward pass calls `use` with each parameter that has got its gradient."""
    with ExitStack() as hooks, _wanted(list(weights)):
        for weight, parts in weights.items():
            hook = partial(use, parts)
            handle = weight.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
            hooks.callback(handle.remove)
        yield
