"""What share of a model's weights is traced.

It is known before anything is read: the model is made without weights, on torch's meta device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from pipeline.contract.errors import ModelError
from pipeline.contract.results.factors import Coverage
from pipeline.contract.settings.schema import ModuleSettings
from pipeline.influence.experts import is_separated, separate_experts
from pipeline.influence.modules import chosen_parameters, resolve_modules, summarize
from pipeline.pretrained.loading import new_network

_LEAST = 0.5
"""Share of the chosen weights below which a ranking would not be that of the model."""


def examine(
    config: PretrainedConfig,
    wanted: ModuleSettings,
    adapt: Callable[[PreTrainedModel], PreTrainedModel] = lambda model: model,
) -> Coverage:
    """Checks the chosen modules against the configuration: no weights, no memory, no time.

    `adapt` puts an adapter on the model, where it gets one.

    Raises:
        ModelError: the model lacks the modules, or less than half of the chosen weights can be
            traced.
        SettingsError: `wanted.layers` is not a list of layers.
    """
    with torch.device("meta"):
        model = adapt(new_network(config))
        separate_experts(model)
        found = coverage(model, resolve_modules(model, wanted), wanted)
    if found.share < _LEAST:
        other = "all" if wanted.group == "attention" else "attention"
        raise ModelError(
            f"modules.group = {wanted.group!r}: only {found.sentence}",
            f'less than half says little of the model: set modules.group = "{other}", or name the '
            "modules to trace in modules.names",
        )
    return found


def coverage(model: nn.Module, names: list[str], wanted: ModuleSettings) -> Coverage:
    """The share of the chosen matrices that the modules `names` hold; all where they are named."""
    traced = {f"{name}.weight" for name in names}
    total = 0
    left_out: list[str] = []
    for name, parameter in chosen_parameters(model, wanted):
        total += parameter.numel()
        holder = model.get_submodule(name.rpartition(".")[0])
        if name not in traced and not is_separated(holder):
            left_out.append(name)
    missing = sum(model.get_parameter(name).numel() for name in left_out)
    share = 1.0 if wanted.names or not total else 1 - missing / total
    return Coverage(wanted.group, share, summarize(left_out) if share < 1 else "")
