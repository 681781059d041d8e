"""Bases whose weights the library bitsandbytes has rounded to 8 or 4 bits, under an adapter.

The adapter's own matrices stay in float32, and so do their gradients: influence on them is that of
the adapter on the rounded base (Dettmers et al. 2023, QLoRA), whose weights take no gradients.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.settings.schema import Settings
from pipeline.pretrained.loading import load_network
from pipeline.pretrained.sources import ready_adapter

_LIBRARY = "bitsandbytes"
_CPU_SHORTCUT = "support_avx512bf16_for_cpu"
_CONFIGS: dict[str, dict[str, Any]] = {
    # without a threshold no outlier of one text changes how another text of its batch is rounded
    "8bit": {"load_in_8bit": True, "llm_int8_threshold": 0.0},
    "4bit": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": torch.float32,
    },
}


def require_quantiser(settings: Settings) -> None:
    """Checks, before any work, that the base can be rounded, and that an adapter is on it.

    Raises:
        SettingsError: the library is not installed.
        ModelError: model.trained names a whole model.
        HubUnreachableError: it is on the hub and the hub does not answer.
    """
    wanted = settings.model.quantization
    if wanted == "none":
        return
    if importlib.util.find_spec(_LIBRARY) is None:
        raise SettingsError(
            f'model.quantization = "{wanted}" needs the library {_LIBRARY}, which is not installed',
            f'`uv pip install {_LIBRARY}`, or model.quantization = "none"',
        )
    if settings.model.trained and ready_adapter(settings) is None:
        raise ModelError(
            f'model.quantization = "{wanted}" rounds the base under an adapter, but model.trained '
            f"= {settings.model.trained} is a whole model",
            'set model.quantization = "none"',
        )


def quantised(
    model: PreTrainedModel, wanted: str, device: torch.device, folder: Path
) -> PreTrainedModel:
    """The model with its linear layers rounded, on the device; the vocabulary projection is not.

    `wanted`: "8bit" or "4bit"; `folder`: a place for the whole weights meanwhile.
    """
    model.save_pretrained(folder)
    config = BitsAndBytesConfig(**_CONFIGS[wanted])  # type: ignore[no-untyped-call]
    try:
        return load_quantised(folder, device, torch.float32, quantization_config=config)
    finally:
        shutil.rmtree(folder)


def load_quantised(
    folder: Path, device: torch.device, dtype: torch.dtype, **options: Any
) -> PreTrainedModel:
    """A model whose weights are rounded, on the device; `options` are those of `from_pretrained`.

    `dtype`: of the weights that are not.
    """
    model: PreTrainedModel = load_network(
        folder, local_files_only=True, dtype=dtype, device_map={"": device}, **options
    )
    for module in model.modules():
        # on some processors bitsandbytes rounds further in passes without gradients: another model
        if hasattr(module, _CPU_SHORTCUT):
            setattr(module, _CPU_SHORTCUT, False)
    model.train(False)
    return model
