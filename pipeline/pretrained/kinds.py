"""Tells from a configuration alone of which kind a model is: only decoders of text are traced."""

from __future__ import annotations

from typing import NoReturn

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
)

from pipeline.contract.errors import ModelError
from pipeline.pretrained.loading import is_quantised

_MULTIMODAL = MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES | MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
_DECODER = "choose a decoder-only language model"


def require_text_decoder(config: PretrainedConfig, named: str) -> None:
    """Refuses every kind of model but a decoder-only language model in full precision.

    `named`: what the message calls the model.

    Raises:
        ModelError: it is quantised, multimodal, an encoder, an encoder with a decoder, or no
            language model.
    """
    kind = config.model_type
    if is_quantised(config):
        _refuse_quantised(config, named)
    if _is_multimodal(kind):
        _refuse_multimodal(config, named)
    told = f"{named} (model type {kind!r})"
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{told} is an encoder with a decoder: its words depend on a second text, beside those "
            "before them",
            _DECODER,
        )
    if _is_encoder(kind) and not getattr(config, "is_decoder", False):
        raise ModelError(
            f"{told} is an encoder: it sees the tokens that it is to predict", _DECODER
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ModelError(f"{told} is no language model of transformers", _DECODER)


def _is_multimodal(kind: str) -> bool:
    """Whether transformers does not take its text decoder alone where text is wanted."""
    model = _MULTIMODAL.get(kind)
    return model is not None and MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind, model) == model


def _is_encoder(kind: str) -> bool:
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES | MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES


def _refuse_multimodal(config: PretrainedConfig, named: str) -> NoReturn:
    text = config.get_text_config()
    decoder = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(text.model_type)
    raise ModelError(
        f"{named} is a multimodal model ({_MULTIMODAL[config.model_type]}): it reads images or "
        "sound beside text, and influence is traced through text alone",
        f"{_DECODER}: transformers has no class for this one's text decoder alone"
        if decoder is None or text is config
        else f"save its text decoder alone, a {decoder}, and name that folder: README.md has the "
        "lines that do it",
    )


def _refuse_quantised(config: PretrainedConfig, named: str) -> NoReturn:
    """Gradients at rounded weights are not those of the model that was trained, and a model that
    is dequantised on loading is saved as one that loads as something else."""
    found = config.quantization_config
    kind = found.get("quant_method") if isinstance(found, dict) else found.quant_method
    raise ModelError(
        f"{named} is quantised ({getattr(kind, 'value', kind) or 'unknown method'}): its weights "
        "are rounded, and influence needs their gradients",
        "name the model that it was made from, in float32, bfloat16 or float16; under an adapter "
        'model.quantization = "8bit" or "4bit" rounds it',
    )
