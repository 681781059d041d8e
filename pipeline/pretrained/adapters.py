"""LoRA adapters of the library peft: new ones put on a base, ready ones loaded completely.

An adapted layer computes y = W·x + s·B·A·x (Hu et al. 2021), s = alpha ÷ rank, or alpha ÷ √rank
with rank-stabilised LoRA. A [rank, inputs] and B [outputs, rank] are linear modules of their own
below it, `lora_A.default` and `lora_B.default`, so influence is computed for them as for any other;
s is part of the forward pass, and so of every gradient.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import load_peft_weights, set_peft_model_state_dict
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel
from transformers.utils.peft_utils import ADAPTER_CONFIG_NAME

from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.files import read_object
from pipeline.contract.settings.schema import LoraSettings
from pipeline.pretrained.weights import counted, require_finite

_UNDERSTOOD = frozenset(
    """
    auto_mapping base_model_name_or_path exclude_modules fan_in_fan_out inference_mode
    init_lora_weights layers_pattern layers_to_transform lora_alpha lora_dropout peft_type
    peft_version r rank_pattern alpha_pattern revision target_modules task_type use_rslora
    """.split()  # noqa: SIM905
)
"""Keys of an adapter_config.json whose values do not change what is right to compute."""
_HARMLESS_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of init_lora_weights that leave the base's weights as they are."""


def new_adapter(model: PreTrainedModel, config: LoraConfig, seed: int) -> PeftModel:
    """Puts an untrained adapter on a model, in place; the seed decides its weights.

    Raises:
        SettingsError: a target is no linear layer of the model.
    """
    torch.manual_seed(seed)
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise _no_targets(model, config) from error
    missing = [one for one in _targets(config) if not _is_met(one, model)]
    if missing:
        raise _no_targets(model, config)
    assert isinstance(adapted, PeftModel)
    return adapted


def lora_config(lora: LoraSettings) -> LoraConfig:
    """peft's configuration of a new adapter."""
    every = lora.target_modules == ["all-linear"]
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if every else list(lora.target_modules),
        use_rslora=lora.rslora,
    )


def read_lora_config(folder: Path, setting: str) -> LoraConfig:
    """The configuration of a ready adapter.

    Raises:
        ModelError: it is no LoRA, or one of a kind for which nothing here is known to be right.
    """
    value = read_object(folder / ADAPTER_CONFIG_NAME)
    if value is None:
        raise ModelError(f"{setting}: {folder / ADAPTER_CONFIG_NAME} is not JSON")
    where = f"{setting}: the adapter in {folder}"
    if value.get("peft_type") != "LORA":
        raise ModelError(f"{where} is of the kind {value.get('peft_type')}", "valid: LORA")
    defaults: dict[str, Any] = LoraConfig().to_dict()  # type: ignore[no-untyped-call]
    odd = {
        key: found
        for key, found in value.items()
        if key not in _UNDERSTOOD and found and found != defaults.get(key)
    }
    start = value.get("init_lora_weights", True)
    if start not in _HARMLESS_STARTS:
        odd["init_lora_weights"] = start
    if odd:
        told = ", ".join(f"{key} = {found!r}" for key, found in odd.items())
        raise ModelError(
            f"{where} is more than a plain LoRA: {told}",
            "merge it into its base with peft's merge_and_unload(), save that, and name it in "
            "model.trained as a whole model",
        )
    known = {key: found for key, found in value.items() if key in defaults and found is not None}
    # the base's name is what the run says, and a start that the weights replace does not matter
    known |= {"base_model_name_or_path": None, "init_lora_weights": True, "inference_mode": False}
    return LoraConfig(**known)


def with_ready_adapter(model: PreTrainedModel, folder: Path, setting: str) -> PeftModel:
    """Puts a ready adapter on a model, in place; a model without memory ("meta") gets its shapes.

    Raises:
        ModelError: it does not fit the model, or its weights are not all there or no numbers.
    """
    config = read_lora_config(folder, setting)
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"{setting}: the adapter in {folder} does not fit its base: {error}",
            "model.name must be the model that it was trained on",
        ) from error
    assert isinstance(adapted, PeftModel)
    fill(adapted, folder, setting)
    return adapted


def fill(adapted: PeftModel, folder: Path, setting: str) -> None:
    """Loads an adapter's weights into the one that is on a model: all of them, and no others.

    Raises:
        ModelError: see `with_ready_adapter`.
    """
    try:
        weights = load_peft_weights(str(folder), device="cpu")
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelError(f"{setting}: the adapter's weights in {folder}: {error}") from error
    where = f"{setting}: the adapter in {folder}"
    require_finite(weights, where)
    wanted = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    try:
        with warnings.catch_warnings():  # that nothing is copied to a model without memory is meant
            warnings.simplefilter("ignore", UserWarning)
            result: Any = set_peft_model_state_dict(adapted, weights)
    except RuntimeError as error:  # of another shape: each on a line of its own
        told = next(
            (line.strip() for line in str(error).splitlines() if "size mismatch" in line), ""
        )
        raise ModelError(
            f"{where} does not fit its base: {told or error}",
            "model.name must be the model that it was trained on",
        ) from error
    if missing := sorted(wanted & set(result.missing_keys)):
        raise ModelError(
            f"{where} lacks the weights of {counted(missing)}",
            f"its {ADAPTER_CONFIG_NAME} and its weights are not of the same training",
        )
    if result.unexpected_keys:
        raise ModelError(
            f"{where} holds weights of {counted(sorted(result.unexpected_keys))} for which its "
            f"{ADAPTER_CONFIG_NAME} has no place",
            f"its {ADAPTER_CONFIG_NAME} and its weights are not of the same training",
        )


def network_of(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model itself, with its adapter's matrices in its layers where it has one."""
    if not isinstance(model, PeftModel):
        return model
    network: Any = model.get_base_model()
    assert isinstance(network, PreTrainedModel)
    return network


def is_adapted(model: nn.Module) -> bool:
    """Whether there is an adapter in the model's layers."""
    return any(isinstance(module, LoraLayer) for module in model.modules())


def _targets(config: LoraConfig) -> list[str]:
    wanted = config.target_modules
    return [] if wanted is None or isinstance(wanted, str) else sorted(wanted)


def _is_met(target: str, model: nn.Module) -> bool:
    return any(name == target or name.endswith(f".{target}") for name in _adapted_layers(model))


def _adapted_layers(model: nn.Module) -> Iterator[str]:
    return (
        name
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer) and len(module.lora_A)
    )


def _no_targets(model: nn.Module, config: LoraConfig) -> SettingsError:
    linear = {
        name.removesuffix(".base_layer").rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".lora_" not in name
    }
    return SettingsError(
        f"lora.target_modules = {_targets(config)}: the model has no linear layers of all of "
        "these names",
        f"valid: {', '.join(sorted(linear))}",
    )
