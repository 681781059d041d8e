"""Puts an adapter on the base, and tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import PreTrainedModel

from pipeline.contract.results.training import AdapterSummary
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import ModuleSettings, Settings
from pipeline.influence.modules import resolve_modules
from pipeline.pretrained.adapters import (
    lora_config,
    network_of,
    new_adapter,
    read_lora_config,
    with_ready_adapter,
)
from pipeline.pretrained.folders import is_adapter
from pipeline.pretrained.sources import TRAINED, base_name, ready_adapter


def trainable(
    model: PreTrainedModel, settings: Settings, run: RunDir
) -> PreTrainedModel | PeftModel:
    """What is trained: the model itself, or a new adapter on it where the settings want one.

    Raises:
        SettingsError: the model lacks a layer that the adapter shall be on.
    """
    config = _config(settings, run)
    if config is None:
        return model
    adapted = new_adapter(model, config, settings.run.seed)
    # where peft looks for the base's vocabulary when a checkpoint is saved: else it asks the hub
    adapted.peft_config["default"].base_model_name_or_path = str(run.base)
    return adapted


def planned(settings: Settings) -> Callable[[PreTrainedModel], PreTrainedModel]:
    """Puts the adapter that the settings name or want on a model without memory ("meta").

    Raises:
        SettingsError, ModelError, HubUnreachableError: see `new_adapter` and `with_ready_adapter`.
    """
    ready, looks_at_whole = ready_adapter(settings), settings.modules.adapter == "merged"

    def adapt(model: PreTrainedModel) -> PreTrainedModel:
        if ready is not None:
            adapted = with_ready_adapter(model, ready, TRAINED)
        elif settings.lora.rank:
            adapted = new_adapter(model, lora_config(settings.lora), settings.run.seed)
        else:
            return model
        traced: PreTrainedModel = adapted.unload() if looks_at_whole else network_of(adapted)
        return traced

    return adapt


def _config(settings: Settings, run: RunDir) -> LoraConfig | None:
    """Of the adapter that the run has, or else of the one that it will have."""
    if is_adapter(run.model):
        return read_lora_config(run.model, str(run.model))
    return lora_config(settings.lora) if settings.lora.rank else None


def name_base(model: PreTrainedModel | PeftModel, settings: Settings) -> None:
    """Writes down which model an adapter sits on, as peft itself looks for it."""
    if isinstance(model, PeftModel) and settings.model.init == "pretrained":
        model.peft_config["default"].base_model_name_or_path = base_name(settings)


def tell_traced_share(
    model: PreTrainedModel | PeftModel, wanted: ModuleSettings, events: EventWriter
) -> None:
    """Says how much of an adapter influence will not look at, if there is something."""
    if not isinstance(model, PeftModel) or wanted.adapter == "merged":
        return
    network = network_of(model)
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    modules = resolve_modules(network, wanted)
    traced = sum(network.get_parameter(f"{name}.weight").numel() for name in modules)
    if traced < trained:
        events.warning(
            f"influence looks at {traced / trained:.0%} of the adapter's parameters; "
            'modules.group = "all" and modules.layers = "all" take in the others that are matrices '
            "of the decoder's layers"
        )


@contextmanager
def filled(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """While entered, no matrix of a new adapter is zero: as B is, no gradient would reach A."""
    empty = {
        name: weight
        for name, weight in model.named_parameters()
        if isinstance(model, PeftModel) and weight.requires_grad and not bool(weight.any())
    }
    with torch.random.fork_rng(), torch.no_grad():
        for weight in empty.values():
            weight.normal_(std=0.02)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight in empty.values():
                weight.zero_()


def adapter_summary(model: nn.Module) -> AdapterSummary | None:
    """The adapter on a model; None where there is none."""
    if not isinstance(model, PeftModel):
        return None
    config: Any = model.peft_config["default"]
    return AdapterSummary(
        rank=config.r,
        alpha=float(config.lora_alpha),
        rslora=config.use_rslora,
        modules=sum(isinstance(module, LoraLayer) for module in model.modules()),
        parameters=sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
    )
