"""Which linear modules influence is computed for, checked against the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from torch import nn
from transformers.models.falcon.modeling_falcon import FalconLinear
from transformers.pytorch_utils import Conv1D

from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.results.scores import layer_of
from pipeline.contract.settings.schema import ModuleSettings
from pipeline.influence.experts import ExpertLinear

_LINEAR = (nn.Linear, Conv1D, FalconLinear, ExpertLinear)
"""Kinds of module that gradients are traced of; a subclass may compute something else."""
_ADAPTED = re.compile(r"\.lora_[AB]\.")
"""In the names of an adapter's matrices."""
_GROUPS = {
    "mlp": re.compile(r"mlp|feed_forward|ffn|fc\d|moe|experts"),
    "attention": re.compile("attn|attent"),
}


def resolve_modules(model: nn.Module, wanted: ModuleSettings) -> list[str]:
    """Names of the modules that the settings choose, in the model's own order.

    Raises:
        ModelError: the model has none such; the message lists what it has.
        SettingsError: `wanted.layers` is not a list of layers.
    """
    valid = _linear_modules(model)
    if not valid:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        raise ModelError(
            "no nn.Linear or Conv1D in the model's layers: nothing else can be traced",
            f"kinds of module it has: {', '.join(kinds)}",
        )
    if wanted.names:
        return _named(wanted.names, valid)
    layers = _chosen_layers(wanted.layers, sorted({_around_layer(name)[1] for name in valid}))
    chosen = [name for name in valid if _in_group(name, wanted.group)]
    if not chosen:
        hint = f"name modules in modules.names; valid: {summarize(valid)}"
        raise ModelError(f'modules.group = "{wanted.group}": the model has no such modules', hint)
    return [name for name in chosen if layer_of(name) in layers]


def chosen_parameters(
    model: nn.Module, wanted: ModuleSettings
) -> Iterator[tuple[str, nn.Parameter]]:
    """All matrices, by name, in the layers and the group that the settings choose, traced or not.

    Experts that have been separated are not counted a second time. Of a model with an adapter,
    the adapter's matrices alone: nothing else was trained.
    """
    adapted = any(_ADAPTED.search(name) for name, _ in model.named_parameters())
    valid = sorted({_around_layer(name)[1] for name in _linear_modules(model)})
    layers = _chosen_layers(wanted.layers, valid)
    for name, parameter in model.named_parameters():
        holder = name.rpartition(".")[0]
        if parameter.dim() < 2 or layer_of(holder) not in layers:
            continue
        if adapted and not _ADAPTED.search(name):
            continue
        separate = isinstance(model.get_submodule(holder), ExpertLinear)
        if not separate and _in_group(name, wanted.group):
            yield name, parameter


def weight_shape(module: nn.Module) -> tuple[int, int]:
    """[O, I]: how many outputs and inputs a traced module has."""
    weight = module.get_parameter("weight")
    rows, columns = weight.shape
    return (columns, rows) if isinstance(module, Conv1D) else (rows, columns)


def summarize(names: Iterable[str]) -> str:
    """Module names with equal ones of several layers put together: `layers.{0-2}.mlp.up_proj`."""
    layers: dict[tuple[str, str], list[int]] = {}
    for before, layer, inside in map(_around_layer, names):
        layers.setdefault((before, inside), []).append(layer)
    return ", ".join(
        f"{before}{{{spell_layers(numbers)}}}.{inside}"
        for (before, inside), numbers in layers.items()
    )


def spell_layers(layers: Iterable[int]) -> str:
    """Layer numbers as the settings spell them: "0-3,8"."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _linear_modules(model: nn.Module) -> list[str]:
    """Linear modules of the decoder layers. The vocabulary projection is in no layer: it is
    several times larger than all others together and would drown them.

    Where an adapter is on the model, its matrices alone: they alone were trained.
    """
    found = [
        name
        for name, module in model.named_modules()
        if type(module) in _LINEAR and layer_of(name.rpartition(".")[0]) is not None
    ]
    return [name for name in found if _ADAPTED.search(name)] or found


def _around_layer(name: str) -> tuple[str, int, str]:
    """("layers.", 3, "mlp.up_proj") for "layers.3.mlp.up_proj", a module of a layer."""
    layer = layer_of(name)
    assert layer is not None, name
    before, _, inside = f".{name}".partition(f".{layer}.")
    return f"{before[1:]}." if before else "", layer, inside


def _in_group(name: str, group: str) -> bool:
    _, _, inside = _around_layer(name)
    return group == "all" or bool(_GROUPS[group].search(inside))


def _named(names: Sequence[str], valid: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in valid]
    if unknown:
        raise ModelError(
            f"modules.names: the model's layers have no linear {', '.join(map(repr, unknown))}",
            f"valid: {summarize(valid)}",
        )
    return [name for name in valid if name in names]


def _chosen_layers(text: str, valid: Sequence[int]) -> set[int]:
    if text.strip() == "all":
        return set(valid)
    chosen: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if ends is None or int(ends[1]) > int(ends[2] or ends[1]):
            hint = f'write "all", or a list such as "0-3,8"; valid: {spell_layers(valid)}'
            raise SettingsError(f"modules.layers = {text!r}: cannot read {part!r}", hint)
        chosen.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    if absent := chosen - set(valid):
        raise ModelError(
            f"modules.layers = {text!r}: the model has no layer {spell_layers(absent)}",
            f"valid: {spell_layers(valid)}",
        )
    return chosen
