"""Which linear modules influence looks at."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from pipeline.contract.errors import ModelError
from pipeline.contract.settings import ModuleSettings

_GROUPS = {
    "mlp": ("gate_proj", "up_proj", "down_proj"),
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
}
_LAYER = re.compile(r"\.layers\.(\d+)\.")


def layer_of(module: str) -> int:
    """The decoder layer in a module's name; -1 where it names none."""
    match = _LAYER.search(module)
    return int(match.group(1)) if match else -1


def resolve_modules(model: nn.Module, settings: ModuleSettings) -> list[str]:
    """The names of the modules to track, in the model's order.

    Works on a model on the meta device, so that it can be asked before any training.

    Raises:
        ModelError: a name or a layer that the model does not have; lists those it has.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if settings.names:
        unknown = [name for name in settings.names if name not in linear]
        if unknown:
            raise ModelError(
                f"modules.names: the model has no linear module {unknown[0]!r}",
                f"it has: {', '.join(linear)}",
            )
        return [name for name in linear if name in settings.names]
    endings = _GROUPS.get(settings.group, sum(_GROUPS.values(), ()))
    named = [name for name in linear if name.rpartition(".")[2] in endings]
    if not named:
        raise ModelError(
            f'modules.group = "{settings.group}": this model names its layers otherwise',
            f"choose from modules.names: {', '.join(linear)}",
        )
    layers = _layers(settings.layers, sorted({layer_of(name) for name in named}))
    return [name for name in named if layer_of(name) in layers]


def _layers(text: str, there: Sequence[int]) -> set[int]:
    """The layers that "all" or "0-3,8" names.

    Raises:
        ModelError: not of that form, or a layer that the model does not have.
    """
    if text.strip() == "all":
        return set(there)
    chosen: set[int] = set()
    valid = f"valid: all, or layers {there[0]}-{there[-1]}, as in 0-3,8"
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise ModelError(f"modules.layers = {text!r}: {part.strip()!r} is no layer", valid)
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        chosen.update(range(first, last + 1))
    missing = sorted(chosen - set(there))
    if missing or not chosen:
        raise ModelError(f"modules.layers = {text!r}: there is no layer {missing[0]}", valid)
    return chosen
