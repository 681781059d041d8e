"""What a batch will take is estimated for every kind of layer that a configuration may have."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from pipeline.influence.memory_estimate import bytes_per_token

from .architectures import config_of


def made(kind: str, **changes: object) -> PreTrainedModel:
    """A model without memory."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            AutoConfig.for_model(kind, **changes)
        )
    return model


def test_attention_takes_more_the_longer_the_examples() -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config_of("llama"))  # type: ignore[no-untyped-call]
    # of both layers the softmax, of one at a time three more: 2 heads each
    assert bytes_per_token(model, 2000) - bytes_per_token(model, 1000) == 4 * 1000 * (4 + 3 * 2)


def test_a_model_without_attention_takes_as_much_whatever_the_length() -> None:
    model = made("rwkv", num_hidden_layers=2, hidden_size=16, attention_hidden_size=16)
    assert bytes_per_token(model, 2000) == bytes_per_token(model, 1000) > 0


def test_layers_may_have_heads_in_different_numbers() -> None:
    layers = ["indexed_attention", "sliding_attention"]
    model = made("dots3_note_text", num_hidden_layers=2, layer_types=layers)
    heads = [layer.num_attention_heads for layer in model.config.per_layer_config]
    assert len(set(heads)) == 2
    values = sum(heads) + 3 * max(heads)
    assert bytes_per_token(model, 2000) - bytes_per_token(model, 1000) == 4 * 1000 * values
