"""Loads weights completely or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_utils import load_state_dict

from pipeline.contract.errors import ModelError
from pipeline.pretrained.folders import weight_files
from pipeline.pretrained.loading import OWN_KERNELS, load_network, new_network

_NAMED = 3


def load_complete(name: str) -> PreTrainedModel:
    """Loads a model of a folder or of the hub in float32, in evaluation mode.

    Raises:
        ModelError: tensors are missing, left over, of another shape or not finite.
        OSError, ValueError: what transformers says of a name that it cannot load.
    """
    # transformers would fill missing weights with random ones, drop what is left over, and go on
    loaded = load_network(
        name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
    )
    model: PreTrainedModel = loaded[0]
    require_all_used(loaded[1], name)
    require_finite(model.state_dict(), name)
    return model


def require_all_named(folder: Path, config: PretrainedConfig) -> None:
    """Checks a folder's tensors by names and shapes alone: no weights are read, none are held.

    transformers' own rules decide which name belongs where: it loads tensors without memory.

    Raises:
        ModelError: see `load_complete`; or a file is damaged.
    """
    shapes: dict[str, Tensor] = {}
    for file in weight_files(folder):
        try:
            shapes |= load_state_dict(file, map_location="meta")
        except (SafetensorError, OSError, RuntimeError, UnpicklingError) as error:
            raise ModelError(
                f"{file} is damaged: {str(error).strip().splitlines()[0]}", "copy it again"
            ) from error
    with torch.device("meta"):
        # of a multimodal model whose text decoder is taken alone, with that one's configuration
        made = new_network(config)
    _, info = type(made).from_pretrained(
        None,
        config=made.config,
        state_dict=shapes,
        trust_remote_code=False,
        **OWN_KERNELS,
        dtype=torch.float32,
        device_map={"": "meta"},
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    require_all_used(info, str(folder))


def require_all_used(info: Mapping[str, Any], name: str) -> None:
    """Checks what transformers says of a checkpoint's tensors after loading it.

    Raises:
        ModelError: names the tensors that are missing, left over or of another shape.
    """
    if missing := sorted(info["missing_keys"]):
        raise ModelError(f"{name} lacks the weights of {counted(missing)}")
    if mismatched := sorted(info["mismatched_keys"]):
        key, found, wanted = mismatched[0]
        raise ModelError(
            f"{name}: {len(mismatched)} tensors have another shape than the model's configuration "
            f"says, first {key}: {list(found)} in the file, {list(wanted)} in the model",
            "config.json and weights are not of the same model",
        )
    if unexpected := sorted(info["unexpected_keys"]):
        raise ModelError(
            f"{name} holds weights of {counted(unexpected)} which a model of its configuration "
            "has no place for: they would be left out, and another model analysed",
            "config.json and weights are not of the same model, or the architecture is not the "
            "one that was trained; of a multimodal model, save the text decoder alone: README.md "
            "has the lines that do it",
        )


def require_finite(weights: Mapping[str, Tensor], name: str) -> None:
    """Checks that every weight, by the tensors' names, is a number.

    Raises:
        ModelError: names the tensors that hold NaN or infinity.
    """
    spoilt = [
        key
        for key, tensor in weights.items()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    ]
    if spoilt:
        raise ModelError(
            f"{name} holds weights that are no numbers (NaN or infinity) in {counted(spoilt)}",
            "the file was damaged, or the training that wrote it diverged: take an earlier one",
        )


def counted(names: list[str]) -> str:
    """How many tensors, and the first of them by name."""
    first = ", ".join(names[:_NAMED])
    return f"{len(names)} {'tensor' if len(names) == 1 else 'tensors'}, first {first}"
